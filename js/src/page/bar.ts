/** The bar over the map of a page of its own: what it shows, where else to look, and its address to send on. */

export interface Title {
  title: string;
  description: string;
  /** Text and address. */
  links: [text: string, address: string][];
  /** What has to be known of the page, such as when its data was taken. */
  note: string;
}

const TOLD = 1500; // ms

export function makeBar(page: Title, share: { isOwner: boolean } | null): HTMLElement {
  const bar = document.createElement("header");
  bar.className = "fused-bar";
  const title = element("h1", page.title);
  title.title = page.description;
  const links = page.links.map(([text, address]) => Object.assign(element("a", text), { href: address }));
  const nav = element("nav");
  nav.append(...links);
  bar.append(title, element("p", page.note || firstLine(page.description)), nav);
  if (share) bar.append(makeShare(share.isOwner));
  return bar;
}

/** The page's address, whole, to copy; and what somebody needs who gets it. */
function makeShare(isOwner: boolean): HTMLElement {
  const box = element("details");
  box.className = "fused-share";
  const address = element("input");
  address.readOnly = true;
  address.setAttribute("aria-label", "Address of this view");
  const copy = element("button", "Copy");
  copy.type = "button";
  copy.addEventListener("click", () => void copyFrom(address, copy));
  const panel = element("div");
  panel.append(address, copy, element("p", isOwner ? OF_OWNER : OF_TOKEN));
  box.append(element("summary", "Share"), panel);
  box.addEventListener("toggle", () => {
    address.value = location.href;
    if (box.open) address.select();
  });
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    box.open = false;
    box.querySelector("summary")?.focus();
  });
  return box;
}

const OF_OWNER =
  "It shows this place with these values to whoever may log in here. For others make a token in the notebook, with " +
  "udf.create_access_token().get_map_url(): that address opens this one map and nothing else.";
const OF_TOKEN = "It shows this place with these values. Whoever has it can use what its token opens, without a login.";

/** Browsers let pages copy on this machine and over HTTPS only; else the user does it. */
async function copyFrom(source: HTMLInputElement, button: HTMLButtonElement): Promise<void> {
  source.value = location.href;
  source.select();
  try {
    await navigator.clipboard.writeText(source.value);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Press Ctrl+C";
  }
  setTimeout(() => {
    button.textContent = "Copy";
  }, TOLD);
}

function firstLine(text: string): string {
  return text.trim().split("\n")[0] ?? "";
}

function element<K extends keyof HTMLElementTagNameMap>(name: K, text = ""): HTMLElementTagNameMap[K] {
  return Object.assign(document.createElement(name), { textContent: text });
}
