// What a person could not read or name in a part of a page: text with too little contrast, and controls without a name.
// Run by tests/browser/lab.py; walks into the shadow trees in which Bokeh draws. Returns one line a fault.

(root) => {
  const LEAST = 4.5; // WCAG 2, for text of normal size
  const parse = (colour) => { const [r, g, b, a = 1] = colour.match(/[\d.]+/g).map(Number), scale = colour.startsWith("color(") ? 255 : 1; return [r * scale, g * scale, b * scale, a]; };
  const over = ([r, g, b, a], below) => [r, g, b].map((part, i) => part * a + below[i] * (1 - a)).concat(1);
  const luminance = (colour) => [0.2126, 0.7152, 0.0722].reduce((sum, weight, i) => sum + weight * (colour[i] / 255 <= 0.03928 ? colour[i] / 255 / 12.92 : ((colour[i] / 255 + 0.055) / 1.055) ** 2.4), 0);
  const contrast = (...two) => { const [low, high] = two.map(luminance).sort((a, b) => a - b); return (high + 0.05) / (low + 0.05); };
  const up = (element) => element.parentElement ?? element.getRootNode().host ?? null;
  const chain = (element) => (element ? [element, ...chain(up(element))] : []);
  const ground = (element) => chain(element).map((each) => parse(getComputedStyle(each).backgroundColor)).reverse().reduce((below, colour) => over(colour, below), [255, 255, 255, 1]);
  const opacity = (element) => chain(element).reduce((product, each) => product * Number(getComputedStyle(each).opacity), 1);
  const seen = (element) => { const { width, height } = element.getBoundingClientRect?.() ?? {}; return width > 1 && height > 1 && getComputedStyle(element).visibility !== "hidden"; };
  const nameOf = (element) => element.getAttribute("aria-label") || element.getRootNode().querySelector(`label[for="${CSS.escape(element.id || "-")}"]`)?.textContent
    || element.closest("label")?.textContent || (element.tagName === "BUTTON" && element.textContent) || element.title;
  const faults = new Set();

  function text(node) {
    const element = node.parentElement, words = node.textContent.trim();
    if (!words || !element || !seen(element) || element.closest("style, script, option, :disabled, [inert]")) return;
    const below = ground(element), [r, g, b, a] = parse(getComputedStyle(element).color), found = contrast(over([r, g, b, a * opacity(element)], below), below);
    if (found < LEAST) faults.add(`contrast ${found.toFixed(2)}: ${element.tagName}.${element.className} "${words.slice(0, 30)}"`);
  }

  function walk(node) {
    if (node.nodeType === Node.TEXT_NODE) return text(node);
    if (node.matches?.("button, input, select, textarea, [role=slider]") && seen(node) && !nameOf(node)?.trim()) faults.add(`no name: ${node.outerHTML.slice(0, 80)}`);
    for (const child of [...(node.shadowRoot?.childNodes ?? []), ...node.childNodes]) walk(child);
  }

  walk(document.querySelector(root));
  return [...faults];
}
