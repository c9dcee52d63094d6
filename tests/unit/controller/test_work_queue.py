import threading

from services.controller.work_queue import WorkQueue


def get_within(queue, seconds=0.5):
    """Get a name, or None when none is due in time."""
    names = []
    thread = threading.Thread(target=lambda: names.append(queue.get()), daemon=True)
    thread.start()
    thread.join(seconds)
    return names[0] if names else None


def test_names_come_in_the_order_in_which_they_were_put():
    queue = WorkQueue()
    for name in ("ponds", "lakes"):
        queue.put(name)
    assert [get_within(queue), get_within(queue)] == ["ponds", "lakes"]


def test_a_name_waits_once_however_often_it_is_put():
    queue = WorkQueue()
    for _ in range(5):
        queue.put("ponds")
    assert (len(queue), get_within(queue), len(queue)) == (1, "ponds", 0)


def test_a_name_in_work_comes_again_only_when_it_is_done():
    queue = WorkQueue()
    queue.put("ponds")
    queue.get()
    queue.put("ponds")
    queue.put("lakes")
    assert get_within(queue) == "lakes"
    queue.done("ponds")
    assert get_within(queue) == "ponds"


def test_a_name_that_is_done_and_was_not_put_again_does_not_come():
    queue = WorkQueue()
    queue.put("ponds")
    queue.get()
    queue.done("ponds")
    assert get_within(queue, 0.1) is None


def test_a_delay_passes_before_a_name_is_due():
    queue = WorkQueue()
    queue.put("ponds", 0.3)
    assert get_within(queue, 0.1) is None


def test_the_sooner_of_two_queue_counts():
    queue = WorkQueue()
    queue.put("ponds", 60)
    queue.put("ponds")
    queue.put("ponds", 60)
    assert (get_within(queue), len(queue)) == ("ponds", 0)


def test_a_waiting_worker_is_woken_by_an_earlier_name():
    queue = WorkQueue()
    queue.put("ponds", 60)
    names = []
    thread = threading.Thread(target=lambda: names.append(queue.get()), daemon=True)
    thread.start()
    queue.put("lakes")
    thread.join(1)
    assert names == ["lakes"]
