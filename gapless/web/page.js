"use strict";

// The terminal of textual-serve can't start without WebGL 2, and does not say so.
if (!document.createElement("canvas").getContext("webgl2")) {
  document.documentElement.classList.add("no-webgl");
}

// Nor does it take keys before somebody clicks into it.
function takeKeys() {
  document.querySelector(".xterm-helper-textarea")?.focus();
}
window.addEventListener("load", () => setTimeout(takeKeys));
window.addEventListener("focus", takeKeys);
