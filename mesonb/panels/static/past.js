// The past, under the board: live, or any moment recorded so far. Joined to board.js (mesonb/panels/module.py).
//
// The kernel opens the past as a recording, which is a session like any other: the board then shows that one's frames, and
// comes back to the live one. Rule: one request at a time; a slider that is dragged asks for the newest place alone.

const PLAY_MS = 100, OPENING_MS = 300, ANSWER_MS = 10_000;
const SPEEDS = ["0.1", "0.25", "0.5", "1", "2", "5", "10", "100"];

class Past {
  constructor(line, title, say, beside) {
    Object.assign(this, { line, say, second: !beside, live: line.path, own: /^replay-/.test(title ?? ""), at: 0, begins: 0, length: 0, asking: false, wanted: null });
    const button = (label, name, act) => {
      const made = make("button", { type: "button", "aria-label": name, title: name }, label);
      made.addEventListener("click", act);
      return made;
    };
    const move = (label, by, name) => button(label, name, () => this.go({ do: "move", by }));
    this.back = button("Live", "back to what is so now", () => this.present());
    this.play = button("Play", "play from here", () => this.playing(!this.timer));
    this.speed = make("select", { "aria-label": "how fast it plays" }, ...SPEEDS.map((speed) => make("option", { value: speed }, `${speed} x`)));
    this.speed.value = "1";
    this.slide = make("input", { type: "range", min: 0, max: 1000, step: 1, value: 1000, "aria-label": "the moment that is shown" });
    this.slide.addEventListener("input", () => this.go({ do: "seek", to: 0, part: this.slide.value / 1000 }));
    this.link = button("into a cell", "put a link to this moment into a cell", async () => this.say(await putIntoCell(this.code)));
    this.told = make("span", { class: "when" });
    this.two = button("Two moments", "show another moment beside this one", () => this.two.setAttribute("aria-pressed", beside()));
    this.two.hidden = this.second;
    this.root = make("div", { class: "tools past", role: "group", "aria-label": "Time travel" }, this.back,
      move("Start", "start", "to the start"), move("« cycle", "- cycle", "back to the cycle before"), move("‹ call", "- call", "back by one call"),
      move("call ›", "+ call", "on by one call"), move("cycle »", "+ cycle", "on to the next cycle"), move("End", "end", "to the end"),
      this.play, this.speed, this.slide, this.told, this.link, this.two);
    this.root.addEventListener("keydown", (event) => event.stopPropagation()); // JupyterLab would take keys for shortcuts
    this.show(null);
  }

  /** Show the past from now on, if it is not shown yet; false where it cannot be. */
  async enter() {
    if (this.shown) return true;
    if (!this.own && this.line.using !== "ws") {
      this.say("looking back needs the Jupyter server's half of mesonb, which does not answer here; in a cell: mb.replay(master.log)");
      return false;
    }
    for (;;) {
      const apart = this.own && this.second; // else both would show one moment of a recording
      const ack = await this.ask({ do: apart ? "look apart" : "look back" });
      if (!ack.ok) { this.say(ack.because); return false; }
      if (!ack.past) { this.say("reading the recording …"); await new Promise((on) => setTimeout(on, OPENING_MS)); continue; }
      this.say("");
      this.shown = ack.past;
      Object.assign(this, { begins: ack.starts_s, length: ack.length_s });
      if (!this.own || apart) await this.line.turn(this.live.replace(/session\/[^/]+\/ws$/, `session/${ack.past}/ws`));
      return true;
    }
  }

  /** Ask; whoever does not answer for long, as a kernel that is held up, is not waited for. */
  ask(command) {
    const late = new Promise((_, reject) => setTimeout(reject, ANSWER_MS, "no answer: the kernel is held up, or gone"));
    return Promise.race([this.line.ask(command), late]);
  }

  async go(command) {
    this.wanted = command;
    if (this.asking) return;
    this.asking = true;
    try {
      while (this.wanted && await this.enter()) {
        const { part, ...wanted } = this.wanted;
        this.wanted = null;
        if (part !== undefined) wanted.to = this.begins + part * (this.length - this.begins) || 0;
        const ack = await this.ask(wanted);
        ack.ok ? this.show(ack) : this.say(ack.because);
      }
    } catch (why) { this.say(String(why)); } finally { this.asking = false; this.wanted = null; }
  }

  async present() {
    this.playing(false);
    if (this.own || !this.shown) return;
    this.shown = null;
    this.show(null);
    await this.line.turn(this.live);
  }

  playing(on) {
    clearInterval(this.timer);
    this.timer = on ? setInterval(() => this.tick(), PLAY_MS) : 0;
    this.play.textContent = on ? "Pause" : "Play";
    this.play.setAttribute("aria-pressed", Boolean(on));
    if (on && (!this.shown || this.at >= this.length)) this.go({ do: "move", by: "start" });
  }

  tick() {
    if (!this.shown || this.asking) return;
    if (this.at >= this.length) return this.playing(false);
    this.go({ do: "seek", to: this.at + (PLAY_MS / 1000) * Number(this.speed.value) });
  }

  show(place) {
    const live = !place && !this.own;
    this.back.hidden = this.own;
    this.back.setAttribute("aria-pressed", live);
    this.link.hidden = !place;
    this.line.past = !live;
    this.root.dataset.at = place ? place.at_s.toFixed(3) : "live";
    this.told.textContent = place ? `after call ${place.position.toLocaleString("en")} of ${place.calls.toLocaleString("en")}, ${place.at_s.toFixed(3)} s${this.gone(place)}` : live ? "live" : "";
    if (place) Object.assign(this, { at: place.at_s, begins: place.starts_s, length: place.length_s, code: place.code });
    this.slide.value = place ? (1000 * (place.at_s - place.starts_s)) / (place.length_s - place.starts_s || 1) : 1000;
    this.slide.setAttribute("aria-valuetext", this.told.textContent);
  }

  /** Where the recording begins, if the log has let go what came before. */
  gone(place) {
    return place.let_go ? `; it begins at ${place.starts_s.toFixed(3)} s, with call ${(place.let_go + 1).toLocaleString("en")}` : "";
  }

  shut() { clearInterval(this.timer); }
}
