// Making elements, in one line each.

export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Partial<HTMLElementTagNameMap[K]> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

export function button(label: string, title: string, press: () => void): HTMLButtonElement {
  const made = make('button', { type: 'button', title, className: 'mesonb-button' }, label);
  made.addEventListener('click', press);
  return made;
}

/** "1 agent", "1,000 agents". */
export function many(count: number, what: string): string {
  return `${count.toLocaleString('en')} ${what}${count === 1 ? '' : 's'}`;
}
