/* Elements are made here. What comes from Home Assistant becomes text or an attribute, never markup. */

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) {
      element.addEventListener(name.slice(2), value);
    } else if (value === true) {
      element.setAttribute(name, "");
    } else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, String(value));
    }
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/* Make an HTML element. */
export function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/* Make an SVG element. */
export function s(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/* Home Assistant's own icon; it says nothing to a screen reader. */
export function icon(name) {
  return h("ha-icon", { icon: name, "aria-hidden": "true" });
}

/* Put these children into an element, unless they are there already. */
export function show(element, ...children) {
  element.replaceChildren(...children.flat().filter((child) => child));
}

/* Tell Home Assistant that something is wanted. */
export function fire(element, type, detail) {
  element.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true }));
}
