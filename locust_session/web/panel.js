// A line at the foot of Locust's page: what the run is doing, its verdict, and where to read more.
// Text is only ever set as text. In the form, it opens "Custom parameters", where the scenario and the environment are, and
// hides the fields that have no effect here: the scenario says how much is sent, and for how long.
(() => {
  "use strict";
  const bar = document.createElement("div");
  bar.id = "mm2gate";
  bar.style.cssText =
    "position:fixed;left:0;right:0;bottom:0;z-index:1200;padding:.5rem 1.5rem;display:flex;gap:1.5rem;" +
    "font:14px/1.5 system-ui,sans-serif;background:#1f2937;color:#f9fafb;border-top:3px solid #6b7280";
  const room = document.createElement("style");
  room.textContent = "main { padding-bottom: 5rem !important }";
  document.body.append(room, bar);

  const colours = { GO: "#22c55e", NOGO: "#ef4444", GRIS: "#f59e0b", "INDÉTERMINÉ": "#f59e0b" };
  const span = (text, bold) => {
    const one = document.createElement("span");
    one.textContent = text;
    if (bold) one.style.fontWeight = "700";
    return one;
  };
  const link = ({ href, title }) => {
    const one = document.createElement("a");
    one.textContent = title;
    one.href = href;
    one.target = "_blank";
    one.style.color = "#93c5fd";
    return one;
  };

  const show = async () => {
    try {
      const answer = await fetch("./mm2gate/state", { credentials: "same-origin" });
      const state = await answer.json();
      bar.style.borderTopColor = colours[state.verdict] || "#6b7280";
      bar.replaceChildren(
        span("mm2gate", true),
        ...(state.verdict ? [span(state.verdict, true)] : []),
        span(state.text),
        ...state.links.map(link),
      );
    } catch {
      bar.replaceChildren(span("mm2gate", true), span("no answer: the process has ended, or is not reachable"));
    }
  };
  show();
  setInterval(show, 2000);

  const done = new WeakSet();
  const tidyForm = () => {
    for (const field of document.querySelectorAll("form input")) {
      if (["userCount", "spawnRate", "host"].includes(field.name) && !done.has(field)) {
        done.add(field);
        (field.closest(".MuiFormControl-root") || field).style.display = "none";
      }
    }
    for (const button of document.querySelectorAll("form button[aria-expanded]")) {
      if (done.has(button)) continue;
      done.add(button);
      if (button.textContent.includes("Advanced options")) {
        (button.closest(".MuiAccordion-root") || button).style.display = "none";
      } else if (button.textContent.includes("Custom parameters") && button.getAttribute("aria-expanded") === "false") {
        button.click();
      }
    }
  };
  new MutationObserver(tidyForm).observe(document.body, { childList: true, subtree: true });
  tidyForm();
})();
