/* What the theme leaves undone on a page: names for its buttons and dialogs, menus that close and give the focus back,
   keyboard access to whatever scrolls sideways, figures at full size, and the notebook's download from a disk. A page
   reads without it. */

function nameButtons() {
  for (const button of document.querySelectorAll("button.copybtn")) button.setAttribute("aria-label", "Copy this code");
  // Entries of a bibliography have a role of their own, which a list may not hold.
  for (const list of document.querySelectorAll(".citation-list")) list.removeAttribute("role");
}

// The theme moves a sidebar's content into a dialog that it opens, and what is added here goes with it.
function mendMenus() {
  for (const [which, name] of [["primary", "Menu"], ["secondary", "Contents of this page"]]) {
    const dialog = document.getElementById(`pst-${which}-sidebar-modal`);
    const sidebar = document.getElementById(`pst-${which}-sidebar`);
    if (!dialog || !sidebar) continue;
    dialog.setAttribute("aria-label", name);
    sidebar.prepend(closeButton(() => dialog.close()));
    // The page behind the dialog is what a link to one of its parts is to show.
    dialog.addEventListener("click", (event) => event.target.closest("a")?.hash && dialog.close());
    // A script of the theme takes the focus from the button before another keeps it.
    dialog.addEventListener("close", () => document.querySelector(`.${which}-toggle`).focus());
  }
}

function closeButton(close) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "close-dialog";
  button.textContent = "Close";
  button.addEventListener("click", close);
  return button;
}

// The keyboard can only scroll what it can reach.
const SCROLLING = "div.math, mjx-container, .cell_output > .output, .cell_output pre, .highlight pre, .pst-scrollable-table-container";

function reachScrolling() {
  for (const box of document.querySelectorAll(SCROLLING)) {
    if (box.scrollWidth > box.clientWidth + 1 && getComputedStyle(box).overflowX !== "visible") box.tabIndex = 0;
  }
}

function showFigure(link) {
  const image = link.querySelector("img");
  const dialog = document.createElement("dialog");
  dialog.className = "figure-dialog";
  dialog.setAttribute("aria-label", image.alt || "Figure");
  const box = document.createElement("div");
  box.tabIndex = 0;
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", "Figure at full size");
  const large = document.createElement("img");
  large.src = link.href;
  large.alt = image.alt;
  box.append(large);
  dialog.append(closeButton(() => dialog.close()), box);
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

function enlargeFigures() {
  for (const link of document.querySelectorAll("a.image-reference")) {
    link.title = "Show at full size";
    link.addEventListener("click", (event) => { event.preventDefault(); showFigure(link); });
  }
}

// A page on a disk may read no file but scripts: one that holds the notebook calls this.
window.saveNotebook = function (name, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/x-ipynb+json" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
};

function mendDownload() {
  const link = document.querySelector("a.btn-download-notebook-button");
  if (!link) return;
  link.removeAttribute("target");
  link.addEventListener("click", (event) => {
    event.preventDefault();
    const script = document.createElement("script");
    script.src = link.href;
    script.addEventListener("load", () => script.remove());
    document.head.append(script);
  });
}

// The theme's arrows that open the pages below one have no name for those who hear the page.
function nameArrows() {
  for (const arrow of document.querySelectorAll(".bd-sidebar-primary nav details > summary, dialog nav details > summary")) {
    const link = arrow.closest("li").querySelector("a");
    arrow.setAttribute("aria-label", `Pages below ${link.textContent.trim()}`);
  }
}

document.addEventListener("DOMContentLoaded", () => {
  nameButtons();
  nameArrows();
  mendMenus();
  enlargeFigures();
  mendDownload();
  for (const details of document.querySelectorAll("details")) details.addEventListener("toggle", reachScrolling);
});
window.addEventListener("load", () => {
  reachScrolling();
  window.MathJax?.startup?.promise?.then(reachScrolling);
});
window.addEventListener("resize", reachScrolling);
