/** The elements of tooltips and popups. All that comes from data goes in as text, never as HTML. */

import type { Finding } from "./inspect";
import type { Row } from "./text";

const MOST_SECTIONS = 10;

/** What a tooltip shows: the topmost finding that has something to say. */
export function tooltipContent(findings: readonly Finding[]): HTMLElement | null {
  const telling = findings.filter(({ rows }) => rows.length > 0);
  const [first] = telling;
  if (!first) return null;
  const content = section(first);
  if (telling.length > 1)
    content.append(element("p", "fused-more", `${telling.length - 1} more below; click lists all`));
  return content;
}

/** What a popup shows: all findings, the topmost first. */
export function popupContent(findings: readonly Finding[]): HTMLElement | null {
  const telling = findings.filter(({ rows }) => rows.length > 0);
  if (telling.length === 0) return null;
  const content = element("div", "fused-findings");
  content.append(...telling.slice(0, MOST_SECTIONS).map(section));
  const rest = telling.length - MOST_SECTIONS;
  if (rest > 0) content.append(element("p", "fused-more", `${rest} more`));
  return content;
}

/** The same as one text, for who cannot see it. */
export function spokenText(findings: readonly Finding[]): string {
  const telling = findings.filter(({ rows }) => rows.length > 0).slice(0, MOST_SECTIONS);
  if (telling.length === 0) return "Nothing here";
  return telling
    .map(({ layer, rows }) => `${layer}: ${rows.map((row) => row.filter(Boolean).join(" ")).join(", ")}`)
    .join(". ");
}

function section({ layer, rows }: Finding): HTMLElement {
  const content = element("section", "fused-finding");
  const list = element("dl", "");
  for (const row of rows) list.append(...entry(row));
  content.append(element("h4", "", layer), list);
  return content;
}

function entry([label, text]: Row): HTMLElement[] {
  const value = element("dd", label ? "" : "fused-alone", text);
  return label ? [element("dt", "", label), value] : [value];
}

function element(tag: string, className: string, text = ""): HTMLElement {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}
