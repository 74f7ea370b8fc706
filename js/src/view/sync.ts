/**
 * Maps of one page that look at the same place.
 *
 * They find each other in the page, by the trait `sync_group`, and never ask the kernel: it may be busy, and a camera
 * moves sixty times a second.
 */

import { listen, TRAITS } from "../protocol";
import type { View } from "./view";

/** What a group needs of a map. */
export interface Camera {
  getCenter(): { lng: number; lat: number };
  getZoom(): number;
  jumpTo(options: { center: [number, number]; zoom: number }, eventData: object): unknown;
}

/** On events of moves that another map began: they are not passed on, or two maps would move each other for ever. */
const ECHO = "fusedEcho";

/** The cameras of each group, with their ranks. */
type Groups = Map<string, Map<Camera, number>>;

/** One for the page, also where two versions of our code are on it. */
function groups(): Groups {
  const page = globalThis as typeof globalThis & { __fusedSyncGroups?: Groups };
  page.__fusedSyncGroups ??= new Map();
  return page.__fusedSyncGroups;
}

/**
 * Enters a group; all look then where the one of the lowest rank looks, of equal ranks the one that was there first.
 *
 * Maps come onto the page in any order, so the order in which Python named them has to be said. Gives what leaves.
 */
export function join(name: string, camera: Camera, rank: number): () => void {
  const members = groups().get(name) ?? new Map();
  groups().set(name, members);
  members.set(camera, rank);
  const [[leader]] = [...members].sort((a, b) => a[1] - b[1]) as [[Camera, number]];
  if (leader !== camera) follow(camera, leader);
  else for (const other of members.keys()) if (other !== camera) follow(other, camera);
  return () => {
    members.delete(camera);
    if (members.size === 0) groups().delete(name);
  };
}

/** Tells the others in the group where this one looks now. */
export function lead(name: string, camera: Camera, event: object): void {
  if (ECHO in event) return;
  for (const other of groups().get(name)?.keys() ?? []) if (other !== camera) follow(other, camera);
}

function follow(camera: Camera, leader: Camera): void {
  const { lng, lat } = leader.getCenter();
  const [here, zoom] = [camera.getCenter(), leader.getZoom()];
  if (here.lng === lng && here.lat === lat && camera.getZoom() === zoom) return;
  camera.jumpTo({ center: [lng, lat], zoom }, { [ECHO]: true });
}

/** Keeps a view in the group that its trait names. */
export function sync({ map, model, signal }: View): void {
  let name = "";
  let leave = () => {};
  const enter = () => {
    leave();
    const [group = "", rank = "0"] = String(model.get(TRAITS.syncGroup) ?? "").split("/");
    name = group;
    leave = name ? join(name, map as Camera, Number(rank)) : () => {};
  };
  map.on("move", (event) => name && lead(name, map as Camera, event));
  listen(model, `change:${TRAITS.syncGroup}`, enter, signal);
  signal.addEventListener("abort", () => leave(), { once: true });
  enter();
}
