/** Which version of world.json this code was built with; see build.mjs. */
declare const WORLD_HASH: string;

declare module "*?raw" {
  const text: string;
  export default text;
}
