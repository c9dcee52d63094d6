// What pages do beyond links and forms: they stay up to date, show logs as they come, send archives, and ask before harm.
"use strict";

const MOST_LINES = 3000; // of a log on the page; all of them are in the plain text

// Take a new look now and then, and replace what has changed; the rest keeps its focus and its tooltips.
function keepLive(element) {
  const again = () => setTimeout(look, 1000 * element.dataset.every);
  async function look() {
    if (document.hidden) return again();
    let answer;
    try {
      answer = await fetch(element.dataset.live, { redirect: "error" });
    } catch {
      return again(); // the server is away, or asks to log in
    }
    if (!answer.ok) return again();
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const found = page.getElementById(element.id);
    if (found && element.dataset.ends && !found.dataset.live) return location.reload();
    if (found) replaceChanged(element, found);
    again();
  }
  again();
}

function replaceChanged(old, fresh) {
  const parts = (of) => [...of.querySelectorAll("[data-part]")];
  const names = (of) => parts(of).map((part) => part.dataset.part).join();
  if (!parts(old).length || names(old) !== names(fresh)) {
    if (old.innerHTML !== fresh.innerHTML) old.replaceChildren(...fresh.childNodes);
    return;
  }
  const there = parts(old);
  parts(fresh).forEach((part, index) => {
    if (part.outerHTML !== there[index].outerHTML) there[index].replaceWith(part);
  });
}

function showLog(box) {
  const [stage, button, lines, told] = ["select", "button", "pre", "[role=status]"].map((one) => box.querySelector(one));
  let source;
  function open() {
    source?.close();
    lines.hidden = false;
    lines.textContent = "";
    told.textContent = "";
    button.hidden = true;
    source = new EventSource(box.dataset.log + (stage.value ? `?stage=${stage.value}` : ""));
    source.addEventListener("log", (event) => append(lines, event.data));
    source.addEventListener("end", () => {
      source.close();
      lines.hidden = !lines.textContent;
      told.textContent = lines.hidden ? "Nothing was logged." : "";
    });
  }
  button.addEventListener("click", open);
  stage.addEventListener("change", open);
  if ("open" in box.dataset) open();
}

function append(lines, text) {
  const isAtEnd = lines.scrollTop + lines.clientHeight >= lines.scrollHeight - 30;
  lines.append(`${text}\n`); // as text: whatever a log line says, it is no HTML
  const all = lines.textContent.split("\n");
  if (all.length > MOST_LINES) lines.textContent = all.slice(-MOST_LINES).join("\n");
  if (isAtEnd) lines.scrollTop = lines.scrollHeight;
}

function upload(form) {
  const [told, bar, button] = [".told", "progress", "button"].map((one) => form.querySelector(one));
  form.elements.archive.addEventListener("change", () => {
    const name = form.elements.archive.files[0]?.name.replace(/\.(zip|tgz|tar\.gz)$/i, "").toLowerCase() ?? "";
    form.elements.name.value ||= name.replace(/[^a-z0-9]+/g, "-").slice(0, 43).replace(/^-+|-+$/g, "");
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const file = form.elements.archive.files[0];
    const request = new XMLHttpRequest(); // unlike fetch it says how far it is
    const wrong = (said) => {
      told.textContent = said;
      told.classList.add("bad");
      bar.hidden = true;
      button.disabled = false;
    };
    request.open("POST", `${form.dataset.upload}?name=${encodeURIComponent(form.elements.name.value)}`);
    request.setRequestHeader("Content-Type", /zip$/i.test(file.name) ? "application/zip" : "application/gzip");
    request.upload.addEventListener("progress", ({ loaded, total }) => {
      bar.value = loaded / total;
      told.textContent = loaded < total ? `${Math.floor((100 * loaded) / total)} % sent` : "Unpacking …";
    });
    request.addEventListener("error", () => wrong("The connection broke; send it again."));
    request.addEventListener("load", () => {
      const answer = answered(request.responseText);
      if (request.status === 201) location.assign(`/runs/${answer.run}`);
      else wrong(answer.detail ?? `The server answered ${request.status}.`);
    });
    told.classList.remove("bad");
    bar.hidden = false;
    button.disabled = true;
    request.send(file);
  });
}

function answered(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

document.addEventListener("submit", (event) => {
  const said = event.target.dataset.confirm;
  if (said && !confirm(said)) event.preventDefault();
});
document.querySelectorAll("[data-live]").forEach(keepLive);
document.querySelectorAll("[data-log]").forEach(showLog);
document.querySelectorAll("[data-upload]").forEach(upload);
