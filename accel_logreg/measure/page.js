"use strict";
// Tables sort by a click on a column's name, or Enter or Space on it: first up, then down.
// What a cell is worth stands in data-sort; a cell without it has no value and stays below.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const heads = Array.from(table.tHead.rows[0].cells);
  const original = Array.from(body.rows);
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.title = "sort by this column";
    button.append(...head.childNodes);
    head.append(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      body.append(...sorted(original, column, down ? -1 : 1));
    });
  });
}
function sorted(rows, column, direction) {
  const words = new Intl.Collator("en", { numeric: true });
  const value = (row) => {
    const cell = row.cells[column];
    return cell.dataset.sort === undefined ? null : Number(cell.dataset.sort);
  };
  const text = (row) => row.cells[column].textContent.trim();
  const numeric = rows.some((row) => value(row) !== null);
  return [...rows].sort((a, b) => {
    if (!numeric) return direction * words.compare(text(a), text(b));
    const x = value(a), y = value(b);
    if (x === null || y === null) return (x === null) - (y === null);
    return direction * (x - y);
  });
}
