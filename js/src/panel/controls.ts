/** The panel in which a user moves a UDF's parameters; its twins are fused_jupyter/widgets/_panel.py and udfs/controls. */

import { type ControlSpec, listen, type Params, TRAITS, write } from "../protocol";
import type { View } from "../view/view";
import css from "./controls.css?raw";
import { Pace } from "./pace";
import { addPanel, type Panel } from "./panel";
import { Player } from "./player";
import { type Row, rowOf } from "./rows";

const TYPING = 300; // ms; a word half typed is not worth a run

/** What a control shows: the map's value, or the UDF's default. */
export function shownValue(control: ControlSpec, params: Params): unknown {
  return params[control.name] ?? control.value;
}

/** The panel of the parameters, at the top right. */
export function showControls(view: View): void {
  view.addStyle(view.host, "fused-controls", css);
  new ControlPanel(view);
}

let panels = 0;

type PanelView = Pick<View, "model" | "map" | "host" | "signal" | "feed" | "layers">;

/** Follows the traits `controls` and `params`, and writes `params` as fast as the server answers. */
export class ControlPanel {
  readonly #panel: Panel;
  readonly #form = document.createElement("form");
  readonly #reset = document.createElement("button");
  readonly #id = `fused-${++panels}`;
  readonly #rows = new Map<string, { control: ControlSpec; row: Row }>();
  readonly #pace: Pace<null>;
  #players: Player[] = [];
  /** What was moved and is not in the trait yet; null leaves a parameter out. */
  #moved: Params = {};
  #typing: ReturnType<typeof setTimeout> | null = null;

  constructor(private readonly view: PanelView) {
    const { model, feed, signal } = view;
    this.#panel = addPanel(view, { title: "Parameters", order: 10 });
    this.#form.className = "fused-controls";
    this.#form.addEventListener("submit", (event) => event.preventDefault());
    // A control that is let go has its last value, which need not wait.
    this.#form.addEventListener("change", () => this.#pace.flush());
    this.#reset.type = "button";
    this.#reset.className = "fused-reset";
    this.#reset.textContent = "Reset";
    this.#reset.addEventListener("click", () => this.#putBack());
    this.#panel.body.append(this.#form, this.#reset);
    this.#pace = new Pace(
      () => this.#write(),
      () => feed?.hasAnswered ?? true,
    );
    feed?.follow(() => this.#pace.answered(), signal);
    listen(model, `change:${TRAITS.controls}`, () => this.#build(), signal);
    listen(model, `change:${TRAITS.params}`, () => this.#follow(), signal);
    signal.addEventListener("abort", () => this.#end(), { once: true });
    this.#build();
  }

  get #params(): Params {
    const params = { ...((this.view.model.get(TRAITS.params) as Params | undefined) ?? {}), ...this.#moved };
    return Object.fromEntries(Object.entries(params).filter(([name]) => this.#moved[name] !== null));
  }

  #build(): void {
    const focused = this.#form.contains(document.activeElement) ? (document.activeElement as HTMLElement).id : "";
    this.#stopPlayers();
    this.#rows.clear();
    const specs = (this.view.model.get(TRAITS.controls) as ControlSpec[] | undefined) ?? [];
    this.#form.replaceChildren(...specs.flatMap((spec) => this.#add(spec)));
    this.#panel.root.hidden = specs.length === 0;
    this.#show();
    // A new version of the UDF rebuilds the panel under the fingers of whoever moves it.
    if (focused) this.#form.querySelector<HTMLElement>(`[id="${CSS.escape(focused)}"]`)?.focus();
  }

  #add(control: ControlSpec): HTMLElement[] {
    const row = rowOf(control, this.#id, (value, how) => this.#move(control, value, how));
    this.#rows.set(control.name, { control, row });
    if (!control.play) return [row.element];
    const player = new Player(control, this.view, {
      value: () => shownValue(control, this.#params),
      params: (value) => ({ ...this.#params, [control.name]: value }),
      show: (value) => {
        this.#moved[control.name] = value;
        this.#write();
      },
    });
    this.#players.push(player);
    return [row.element, player.element];
  }

  #move(control: ControlSpec, value: unknown, how: "moved" | "typed"): void {
    this.#moved[control.name] = value;
    this.#show();
    this.#stopTyping();
    if (how === "moved") this.#pace.push(null);
    else this.#typing = setTimeout(() => this.#pace.push(null), TYPING);
  }

  #write(): void {
    this.#stopTyping();
    this.#pace.clear();
    const params = this.#params;
    this.#moved = {};
    write(this.view.model, TRAITS.params, params);
    this.#show();
  }

  /** All controls to where they began. */
  #putBack(): void {
    for (const { control } of this.#rows.values()) this.#moved[control.name] = control.value;
    this.#write();
  }

  #follow(): void {
    this.#show();
    for (const player of this.#players) player.moved();
  }

  #show(): void {
    const params = this.#params;
    let isMoved = false;
    for (const { control, row } of this.#rows.values()) {
      const value = this.#moved[control.name] === null ? null : shownValue(control, params);
      row.show(value ?? null);
      isMoved ||= JSON.stringify(value ?? null) !== JSON.stringify(control.value);
    }
    this.#reset.hidden = !isMoved;
  }

  #stopTyping(): void {
    if (this.#typing !== null) clearTimeout(this.#typing);
    this.#typing = null;
  }

  #stopPlayers(): void {
    for (const player of this.#players) player.stop();
    this.#players = [];
  }

  #end(): void {
    this.#stopTyping();
    this.#pace.clear();
    this.#stopPlayers();
  }
}
