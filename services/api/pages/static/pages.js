// The script of all pages: keeps them up to date, follows logs, uploads archives, and asks before a harmful action.
"use strict";

const MOST_LINES = 3000; // of a log on the page; the plain text has all lines

// Fetch the element again now and then, and replace the parts that have changed; the others keep focus and tooltips.
function keepLive(element) {
  const schedule = () => setTimeout(refresh, 1000 * element.dataset.every);
  async function refresh() {
    if (document.hidden) return schedule();
    let answer;
    try {
      answer = await fetch(element.dataset.live, { redirect: "error" });
    } catch {
      return schedule(); // the server does not answer, or redirects to the login
    }
    if (!answer.ok) return schedule();
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById(element.id);
    if (fresh && element.dataset.ends && !fresh.dataset.live) return location.reload();
    if (fresh) replaceChanged(element, fresh);
    schedule();
  }
  schedule();
}

function replaceChanged(old, fresh) {
  const parts = (of) => [...of.querySelectorAll("[data-part]")];
  const names = (of) => parts(of).map((part) => part.dataset.part).join();
  if (!parts(old).length || names(old) !== names(fresh)) {
    if (old.innerHTML !== fresh.innerHTML) old.replaceChildren(...fresh.childNodes);
    return;
  }
  const oldParts = parts(old);
  parts(fresh).forEach((part, index) => {
    if (part.outerHTML !== oldParts[index].outerHTML) oldParts[index].replaceWith(part);
  });
}

function showLog(box) {
  const selectors = ["select", "button", "pre", "[role=status]"];
  const [stage, button, lines, message] = selectors.map((selector) => box.querySelector(selector));
  let source;
  function open() {
    source?.close();
    lines.hidden = false;
    lines.textContent = "";
    message.textContent = "";
    button.hidden = true;
    source = new EventSource(box.dataset.log + (stage.value ? `?stage=${stage.value}` : ""));
    source.addEventListener("log", (event) => append(lines, event.data));
    source.addEventListener("end", () => {
      source.close();
      lines.hidden = !lines.textContent;
      message.textContent = lines.hidden ? "Nothing was logged." : "";
    });
  }
  button.addEventListener("click", open);
  stage.addEventListener("change", open);
  if ("open" in box.dataset) open();
}

function append(lines, text) {
  const isAtEnd = lines.scrollTop + lines.clientHeight >= lines.scrollHeight - 30;
  lines.append(`${text}\n`); // as text: a log line may contain HTML
  const all = lines.textContent.split("\n");
  if (all.length > MOST_LINES) lines.textContent = all.slice(-MOST_LINES).join("\n");
  if (isAtEnd) lines.scrollTop = lines.scrollHeight;
}

function upload(form) {
  const selectors = [".upload-status", "progress", "button"];
  const [message, bar, button] = selectors.map((selector) => form.querySelector(selector));
  form.elements.archive.addEventListener("change", () => {
    const name = form.elements.archive.files[0]?.name.replace(/\.(zip|tgz|tar\.gz)$/i, "").toLowerCase() ?? "";
    form.elements.name.value ||= name.replace(/[^a-z0-9]+/g, "-").slice(0, 43).replace(/^-+|-+$/g, "");
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const file = form.elements.archive.files[0];
    const request = new XMLHttpRequest(); // unlike fetch, it reports progress
    const fail = (text) => {
      message.textContent = text;
      message.classList.add("bad");
      bar.hidden = true;
      button.disabled = false;
    };
    request.open("POST", `${form.dataset.upload}?name=${encodeURIComponent(form.elements.name.value)}`);
    request.setRequestHeader("Content-Type", /zip$/i.test(file.name) ? "application/zip" : "application/gzip");
    request.upload.addEventListener("progress", ({ loaded, total }) => {
      bar.value = loaded / total;
      message.textContent = loaded < total ? `${Math.floor((100 * loaded) / total)} % sent` : "Unpacking …";
    });
    request.addEventListener("error", () => fail("The connection broke; send it again."));
    request.addEventListener("load", () => {
      const answer = parseAnswer(request.responseText);
      if (request.status === 201) location.assign(`/runs/${answer.run}`);
      else fail(answer.detail ?? `The server answered ${request.status}.`);
    });
    message.classList.remove("bad");
    bar.hidden = false;
    button.disabled = true;
    request.send(file);
  });
}

function parseAnswer(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
});
document.querySelectorAll("[data-live]").forEach(keepLive);
document.querySelectorAll("[data-log]").forEach(showLog);
document.querySelectorAll("[data-upload]").forEach(upload);
