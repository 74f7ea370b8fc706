/** Draws an element of the page onto a canvas, as it looks. */

const MARGIN = 1; // px; fonts reach over the edge

/**
 * Draws an element where it stands in relation to a frame.
 *
 * Browsers do not paint HTML onto a canvas, but they draw SVG, which may hold HTML. That knows no style sheet, so each
 * element takes with it how it looks. What cannot be drawn so is left out: a picture without a legend is better than none.
 */
export async function paintElement(
  brush: CanvasRenderingContext2D,
  element: HTMLElement,
  frame: DOMRect,
): Promise<void> {
  const { left, top, width, height } = element.getBoundingClientRect();
  if (width === 0 || height === 0) return;
  const copy = copyOf(element);
  Object.assign(copy.style, { position: "static", margin: "0", width: `${width}px`, height: `${height}px` });
  const ratio = brush.getTransform().a;
  const image = new Image();
  image.src = addressOf(copy, [width + MARGIN, height + MARGIN], ratio);
  try {
    await image.decode();
  } catch {
    return;
  }
  brush.drawImage(image, left - frame.left, top - frame.top, width + MARGIN, height + MARGIN);
}

function addressOf(copy: HTMLElement, [width, height]: [number, number], ratio: number): string {
  const html = new XMLSerializer().serializeToString(copy);
  const size = `width="${width * ratio}" height="${height * ratio}" viewBox="0 0 ${width} ${height}"`;
  const body = `<foreignObject width="100%" height="100%">${html}</foreignObject>`;
  return `data:image/svg+xml,${encodeURIComponent(`<svg xmlns="http://www.w3.org/2000/svg" ${size}>${body}</svg>`)}`;
}

/** The element with all of its styles written out. */
function copyOf(element: HTMLElement): HTMLElement {
  const copy = element.cloneNode(true) as HTMLElement;
  const originals = [element, ...element.querySelectorAll<HTMLElement>("*")];
  const copies = [copy, ...copy.querySelectorAll<HTMLElement>("*")];
  for (const [index, original] of originals.entries()) {
    const target = copies[index];
    if (!target) continue;
    const style = getComputedStyle(original);
    for (const name of style) target.style.setProperty(name, style.getPropertyValue(name));
  }
  return copy;
}
