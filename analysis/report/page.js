const root = document.documentElement;
document.getElementById("theme").addEventListener("click", () => {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    heads.forEach(one => one.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = row => row.cells[column].dataset.sort || row.cells[column].textContent.trim();
    const order = (a, b) => isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b;
    const rows = [...body.rows].sort((a, b) => order(key(a), key(b)) * (down ? -1 : 1));
    const hidden = rows.filter(row => row.hidden).length;
    rows.forEach((row, place) => { row.hidden = place >= rows.length - hidden; });
    body.append(...rows);
  }));
}
for (const more of document.querySelectorAll("button.more"))
  more.addEventListener("click", () => {
    for (const row of document.getElementById(more.dataset.table).tBodies[0].rows) row.hidden = false;
    more.remove();
  });
