// What the keyboard and reduced motion find in a part of a page: its controls in order, and what would move. From now on it notes
// in window.stops where each key press leaves the focus, with its ring. Walks into the shadow trees in which Bokeh draws. Run by
// tests/browser/test_manners.py.

(root) => {
  const CONTROLS = "button, input, select, textarea, summary, [tabindex='0'], [role=slider]";
  const seen = (element) => { const { width, height } = element.getBoundingClientRect(); return width > 1 && height > 1 && getComputedStyle(element).visibility !== "hidden"; };
  const up = (element) => element.parentElement ?? element.getRootNode().host ?? null;
  const chain = (element) => (element ? [element, ...chain(up(element))] : []);
  const usable = (element) => element.matches(CONTROLS) && element.tabIndex >= 0 && !element.disabled && !element.closest("[inert]") && seen(element);
  const within = (node) => [...(node.shadowRoot?.children ?? []), ...node.children].flatMap((child) => [child, ...within(child)]);
  const deepest = (tree) => (tree.activeElement?.shadowRoot?.activeElement ? deepest(tree.activeElement.shadowRoot) : tree.activeElement);
  const parse = (colour) => { const [r, g, b, a = 1] = colour.match(/[\d.]+/g).map(Number), scale = colour.startsWith("color(") ? 255 : 1; return [r * scale, g * scale, b * scale, a]; };
  const luminance = (colour) => [0.2126, 0.7152, 0.0722].reduce((sum, weight, i) => sum + weight * (colour[i] / 255 <= 0.03928 ? colour[i] / 255 / 12.92 : ((colour[i] / 255 + 0.055) / 1.055) ** 2.4), 0);
  const ground = (element) => chain(element).map((each) => parse(getComputedStyle(each).backgroundColor)).find(([, , , a]) => a === 1) ?? [255, 255, 255];

  function described(element) {
    const style = getComputedStyle(element), { x, y, width, height } = element.getBoundingClientRect();
    const [low, high] = [parse(style.outlineColor), ground(up(element))].map(luminance).sort((a, b) => a - b);
    return {
      what: `${element.tagName.toLowerCase()} ${element.ariaLabel || element.title || element.textContent.trim().slice(0, 30) || element.type || ""}`.trim(),
      number: all.indexOf(element), x, y, width, height,
      ring: style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth), contrast: (high + 0.05) / (low + 0.05),
    };
  }

  const top = document.querySelector(root), elements = within(top), all = elements.filter(usable);
  const moves = (element) => [null, "::before", "::after"].some((part) => {
    const { animationName, transitionDuration, transitionProperty } = getComputedStyle(element, part);
    return animationName !== "none" || (transitionProperty !== "none" && transitionDuration.split(", ").some((each) => parseFloat(each) > 0));
  });
  window.stops = [];
  document.removeEventListener("keyup", window.noting);
  document.addEventListener("keyup", window.noting = () => {
    const active = deepest(document);
    if (all.includes(active)) window.stops.push(described(active));
  });
  return {
    controls: all.map((element) => described(element)),
    moving: elements.filter(moves).map((element) => `${element.tagName.toLowerCase()}.${element.className}`),
  };
}
