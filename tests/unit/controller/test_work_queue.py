import threading

from services.controller.work_queue import Turns


def taken(turns, within_sec=0.5):
    """Take a name; None when none comes in time."""
    found = []
    thread = threading.Thread(target=lambda: found.append(turns.take()), daemon=True)
    thread.start()
    thread.join(within_sec)
    return found[0] if found else None


def test_names_come_in_the_order_in_which_they_were_asked_for():
    turns = Turns()
    for name in ("ponds", "lakes"):
        turns.ask(name)
    assert [taken(turns), taken(turns)] == ["ponds", "lakes"]


def test_a_name_waits_once_however_often_it_is_asked_for():
    turns = Turns()
    for _ in range(5):
        turns.ask("ponds")
    assert (len(turns), taken(turns), len(turns)) == (1, "ponds", 0)


def test_a_name_that_is_held_comes_again_only_when_it_is_given_back():
    turns = Turns()
    turns.ask("ponds")
    turns.take()
    turns.ask("ponds")
    turns.ask("lakes")
    assert taken(turns) == "lakes"
    turns.give_back("ponds")
    assert taken(turns) == "ponds"


def test_a_name_that_is_given_back_and_not_asked_for_does_not_come():
    turns = Turns()
    turns.ask("ponds")
    turns.take()
    turns.give_back("ponds")
    assert taken(turns, 0.1) is None


def test_a_delay_passes_before_a_turn_comes():
    turns = Turns()
    turns.ask("ponds", 0.3)
    assert taken(turns, 0.1) is None


def test_the_sooner_of_two_turns_counts():
    turns = Turns()
    turns.ask("ponds", 60)
    turns.ask("ponds")
    turns.ask("ponds", 60)
    assert (taken(turns), len(turns)) == ("ponds", 0)


def test_one_who_waits_is_woken_by_an_earlier_turn():
    turns = Turns()
    turns.ask("ponds", 60)
    found = []
    thread = threading.Thread(target=lambda: found.append(turns.take()), daemon=True)
    thread.start()
    turns.ask("lakes")
    thread.join(1)
    assert found == ["lakes"]
