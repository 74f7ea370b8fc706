/** Addresses of data that the page holds, for MapLibre's worker to read. */

const CHUNK = 0x8000; // letters; more arguments at once overflow the stack

/**
 * An address of these bytes; to be revoked, which does nothing to one that needs none.
 *
 * A page that is a file has no origin, and neither has its worker: to that the page's blobs are foreign.
 */
export function localAddress(bytes: ArrayBuffer, mediaType: string, hasOrigin = pageHasOrigin()): string {
  if (hasOrigin) return URL.createObjectURL(new Blob([bytes], { type: mediaType }));
  const letters: string[] = [];
  for (let start = 0; start < bytes.byteLength; start += CHUNK) {
    letters.push(String.fromCharCode(...new Uint8Array(bytes, start, Math.min(CHUNK, bytes.byteLength - start))));
  }
  return `data:${mediaType};base64,${btoa(letters.join(""))}`;
}

function pageHasOrigin(): boolean {
  return globalThis.origin !== "null" && location.protocol !== "file:";
}
