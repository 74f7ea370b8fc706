/** Whether the page is light or dark, as the style sheet of the widget sees it. */

/** The scheme that widget.css gives the map. */
export function isDark(host: HTMLElement): boolean {
  return getComputedStyle(host).colorScheme === "dark";
}

/** Calls back when the page may have turned from light to dark or back, until the signal aborts. */
export function followTheme(callback: () => void, signal: AbortSignal): void {
  const watch = new MutationObserver(callback);
  const attributes = { attributes: true, attributeFilter: ["class", "data-jp-theme-light", "data-jp-theme-name"] };
  watch.observe(document.body, attributes);
  watch.observe(document.documentElement, attributes);
  const system = matchMedia("(prefers-color-scheme: dark)");
  system.addEventListener("change", callback, { signal });
  signal.addEventListener("abort", () => watch.disconnect(), { once: true });
}
