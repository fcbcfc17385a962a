/* Shows how a phone will show a text, and what it is billed as, while the text is being written. */
const PAUSE = 800; // milliseconds without a key before the count is read out
const FIELD = /\{([^{}|]*)\|([^{}|]*)\}/gu;

/* The rules of campaigns/text.py, which come with the field; read here as they are there. */
class Rules {
  constructor(data) {
    const given = (name) => JSON.parse(data[name]);
    this.extension = new Set(given("gsmExtension"));
    this.gsm = new Set([...given("gsmBasic"), ...this.extension]);
    [this.limits, this.fields, this.longest] = [given("limits"), given("fields"), given("valueLength")];
    [this.pieces, this.emptied] = [new RegExp(given("pieces"), "gu"), new RegExp(given("emptied"), "u")];
    const groups = Object.entries(given("instead"));
    this.instead = new Map(groups.flatMap(([to, all]) => [...all].map((one) => [one, to])));
  }

  fits(text) {
    return [...text].every((one) => this.gsm.has(one));
  }

  measure(text) {
    const encoding = this.fits(text) ? "GSM-7" : "UCS-2";
    const [alone, joined] = this.limits[encoding];
    const size = (one) => (encoding === "GSM-7" ? 1 + this.extension.has(one) : one.length);
    const sizes = [...text].map(size);
    const units = sizes.reduce((sum, one) => sum + one, 0);
    const starts = this.starts(sizes, units > alone ? joined : alone);
    return { encoding, units, room: units > alone ? joined * starts.length : alone, starts };
  }

  starts(sizes, joined) {
    let room = 0;
    return sizes.flatMap((size, position) => {
      const opens = room < size;
      room = (opens ? joined : room) - size;
      return opens ? [position] : [];
    });
  }

  read(text) {
    return [...text.matchAll(this.pieces)].map(([piece, leftOut]) => {
      const letters = [...piece.normalize("NFC")].map((one) => this.instead.get(one) ?? one);
      return [piece, leftOut === undefined ? letters.join("") : ""];
    });
  }

  simplified(text) {
    const plain = this.read(text).map(([, to]) => to).join("");
    const [before, after] = [text, plain].map((one) => this.measure(one).starts.length);
    return after > before || !this.fits(plain) || this.emptied.test(plain) ? text : plain;
  }

  /* The text for one person, as [words, whether they stand for a merge field]. */
  fill(template, valueOf) {
    const runs = [];
    let end = 0;
    for (const { 0: whole, 1: name, 2: fallback, index } of template.matchAll(FIELD)) {
      if (!this.fields.includes(name) || !fallback.trim()) continue;
      runs.push([template.slice(end, index), false], [valueOf(name) || fallback, true]);
      end = index + whole.length;
    }
    return [...runs, [template.slice(end), false]];
  }
}

function make(tag, looks = {}, ...children) {
  const made = Object.assign(document.createElement(tag), looks);
  made.append(...children);
  return made;
}

const code = (one) => `U+${one.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
const seen = (piece) => (/[^\p{Z}\p{C}\p{M}]/u.test(piece) ? piece.trim() : [...piece].map(code).join(" "));

/* A field, and beside it the phone, the count and the advice that follow what is typed. */
class Composer {
  constructor(area) {
    [this.area, this.rules] = [area, new Rules(area.dataset)];
    this.bar = make("progress", { ariaHidden: "true" });
    this.count = make("p", { className: "count" });
    this.spoken = make("p", { className: "visually-hidden", ariaLive: "polite" });
    this.advice = make("div", { className: "advice" });
    this.bubble = make("div", { className: "bubble" });
    const looks = { type: "text", maxLength: this.rules.longest, placeholder: "not known" };
    this.samples = new Map(this.rules.fields.map((name) => [name, make("input", looks)]));
    const label = ([name, input]) => make("label", {}, `Try a ${name.replaceAll("_", " ")}`, input);
    this.trial = make("div", { className: "trial" }, ...[...this.samples].map(label));
    const phone = make("div", { className: "phone" }, make("p", {}, "Preview"), this.bubble);
    const writing = make("div", { className: "writing" }, this.bar, this.count, this.spoken, this.advice);
    area.before(make("div", { className: "compose" }, writing, make("div", {}, phone, this.trial)));
    writing.prepend(area);
    for (const typed of [area, this.trial]) typed.addEventListener("input", () => this.show());
    this.show();
  }

  show() {
    const sample = (name) => this.samples.get(name).value.trim().replace(/\s+/gu, " ");
    const runs = this.rules.fill(this.area.value, sample);
    const { encoding, units, room, starts } = this.rules.measure(runs.map(([words]) => words).join(""));
    this.trial.hidden = runs.length === 1;
    Object.assign(this.bar, { max: room, value: units });
    const segments = `${starts.length} segment${starts.length === 1 ? "" : "s"}`;
    this.count.textContent = `${encoding} · ${units} of ${room} units · ${segments}`;
    clearTimeout(this.pause);
    this.pause = setTimeout(() => this.spoken.replaceChildren(this.count.textContent), PAUSE);
    this.draw(runs, starts, encoding);
    this.advise(encoding);
  }

  draw(runs, starts, encoding) {
    const letters = runs.flatMap(([words, filled]) => [...words].map((one) => [one, filled ? "b" : "span"]));
    const numbers = new Map(starts.slice(1).map((position, i) => [position, i + 2]));
    this.bubble.replaceChildren();
    letters.forEach(([one, plain], position) => {
      const tag = encoding === "GSM-7" || this.rules.gsm.has(one) ? plain : "mark";
      const number = numbers.get(position);
      if (number) this.bubble.append(make("i", { title: `Segment ${number}` }, `${number}`));
      if (this.bubble.lastChild?.localName !== tag) this.bubble.append(make(tag));
      this.bubble.lastChild.append(one);
    });
    this.bubble.hidden = !letters.length;
  }

  advise(encoding) {
    const odd = new Map(this.rules.read(this.area.value).filter(([piece]) => !this.rules.fits(piece)));
    const [[wide], [narrow]] = [this.rules.limits["UCS-2"], this.rules.limits["GSM-7"]];
    const cause = odd.size ? "these characters" : "the name";
    const why = make("p", {}, `Because of ${cause}, a segment holds ${wide} units instead of ${narrow}.`);
    this.advice.hidden = encoding === "GSM-7";
    this.advice.replaceChildren(why, make("ul", {}, ...[...odd].map((pair) => this.exchange(...pair))));
    const plain = this.rules.simplified(this.area.value);
    if (plain !== this.area.value) this.advice.append(this.button(plain));
  }

  exchange(piece, to) {
    const becomes = { "": "left out", " ": "a space", "\n": "a new line" }[to] ?? to;
    const shown = this.rules.fits(to) ? becomes : "no equivalent";
    return make("li", {}, make("mark", {}, seen(piece)), ` → ${shown}`);
  }

  /* Typed rather than set, so that it can be undone like any other typing. */
  button(plain) {
    const type = () => document.execCommand(plain ? "insertText" : "delete", false, plain);
    const onclick = () => (this.area.select(), type());
    return make("button", { type: "button", className: "button", onclick }, "Replace them");
  }
}

for (const area of document.querySelectorAll("textarea[data-compose]")) new Composer(area);
