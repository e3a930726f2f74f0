// Elements with attributes and children; texts are always text nodes.

type Child = Node | string | null;
type Attributes = Record<string, string | number | boolean | ((event: Event) => void) | null>;

export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

export function button(text: string, action: () => void, attributes: Attributes = {}): HTMLButtonElement {
  return make("button", { type: "button", click: action, ...attributes }, text);
}
