// What the tests ask of an open page. Colours are those the browser has computed.
const parsed = (colour) => {
  const [red, green, blue, alpha = 1] = colour.match(/[\d.]+/g).map(Number);
  return { rgb: [red, green, blue], alpha };
};
const over = (top, below) => top.rgb.map((value, k) => value * top.alpha + below[k] * (1 - top.alpha));
const luminance = (rgb) => {
  const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = (element) => {
  if (element === null) return [255, 255, 255];
  const below = ground(element.parentElement);
  return over(parsed(getComputedStyle(element).backgroundColor), below);
};
const ratio = (a, b) => {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
};
const shown = (element) => {
  const box = element.getBoundingClientRect();
  return box.width > 0 && box.height > 0 && getComputedStyle(element).visibility === "visible";
};
// Every element with words of its own: contrast of the words with what is behind them.
const contrasts = () => {
  const found = [];
  for (const element of document.body.querySelectorAll("*")) {
    if (["SCRIPT", "STYLE", "title"].includes(element.tagName)) continue;
    const words = Array.from(element.childNodes).filter((node) => node.nodeType === 3).map((node) => node.data.trim()).join(" ").trim();
    if (!words || !shown(element)) continue;
    const style = getComputedStyle(element);
    const svg = element instanceof SVGElement;
    const ink = parsed(svg ? style.fill : style.color);
    if (svg) ink.alpha *= Number(style.fillOpacity) * Number(style.opacity);
    const behind = ground(element);
    found.push({ words: words.slice(0, 60), svg, ratio: ratio(over(ink, behind), behind) });
  }
  return found;
};
const overflow = () => ({
  page: [document.documentElement.scrollWidth, document.documentElement.clientWidth],
  loose: Array.from(document.querySelectorAll("table, figure svg, figure img, p, li, h1, h2"))
    .filter((element) => !element.closest(".scroll, .picture") && element.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5)
    .map((element) => element.outerHTML.slice(0, 80)),
  scrolling: Array.from(document.querySelectorAll(".scroll")).filter((box) => box.scrollWidth > box.clientWidth).map((box) => getComputedStyle(box).overflowX),
});
const pictures = () =>
  Array.from(document.querySelectorAll("figure")).map((figure) => {
    const picture = figure.querySelector("svg, img");
    const box = picture.getBoundingClientRect();
    const title = picture.getAttribute("alt") ?? document.getElementById(picture.getAttribute("aria-labelledby"))?.textContent ?? "";
    return { title, width: box.width, height: box.height, whole: picture.complete ?? picture.children.length > 2 };
  });
const tables = () => Array.from(document.querySelectorAll("table.sortable"));
const cells = (table, column) => Array.from(tables()[table].tBodies[0].rows).map((row) => row.cells[column].textContent.trim());
const state = (table, column) => ({
  cells: cells(table, column),
  sorted: Array.from(tables()[table].tHead.rows[0].cells).map((head) => head.getAttribute("aria-sort")),
});
const place = (table, column) => {
  const button = tables()[table].tHead.rows[0].cells[column].querySelector("button");
  button.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
  const box = button.getBoundingClientRect();
  return [box.x + box.width / 2, box.y + box.height / 2];
};
