// What the gallery says, in English and German, and how it writes days, times and numbers in the same language.

const ENGLISH = {
  searchLabel: "Search", pinned: "Pinned", signOut: "Sign out", signIn: "Sign in", key: "Key",
  keyOpens: "A key opens this gallery. On the machine that runs the processor, ", keyMade: " makes one.",
  keyRefused: "This key is not known, or it was revoked.", failed: "This did not work: {reason}",
  cameras: "Cameras", rendersLabel: "Films being made", renders: "A film of {camera}, {day}: {state}",
  waits: "waits",
  todayLabel: "Films of today", growing: "Still growing", live: "live", soFar: "{frames} so far",
  todayWait: "Looking for the films of today …",
  todayOf: "{camera}, today", older: "Older", newerFilm: "Newer film", olderFilm: "Older film",
  pin: "Pin", download: "Download", close: "Close",
  noneFits: "Nothing fits.",
  noneYet: "No films yet. The first one appears here when a window has ended and its frames have come in.",
  frame: "{count} frame", frames: "{count} frames", day: "{count} day", days: "{count} days",
  best: "best {rank} of {frames}", rate: "{count} a second", recipe: "recipe {name}", made: "made {moment}",
  leftOut: "{count} left out", flicker: "flicker {count} mEV",
  kinds: {
    keogram: "Keogram", keogram_year: "Keogram of the year", startrail: "Star trail", best_frame: "Best frame",
  },
};

const GERMAN = {
  searchLabel: "Suche", pinned: "Angeheftet", signOut: "Abmelden", signIn: "Anmelden", key: "Schlüssel",
  keyOpens: "Ein Schlüssel öffnet diese Galerie. Auf der Maschine, auf der der Prozessor läuft, legt ",
  keyMade: " einen an.",
  keyRefused: "Dieser Schlüssel ist unbekannt oder widerrufen.", failed: "Das ging nicht: {reason}",
  cameras: "Kameras", rendersLabel: "Filme, die entstehen", renders: "Ein Film von {camera}, {day}: {state}",
  waits: "wartet",
  todayLabel: "Filme von heute", growing: "Wächst noch", live: "live", soFar: "{frames} bisher",
  todayWait: "Die Filme von heute werden gesucht …",
  todayOf: "{camera}, heute", older: "Ältere", newerFilm: "Neuerer Film", olderFilm: "Älterer Film",
  pin: "Anheften", download: "Herunterladen", close: "Schließen",
  noneFits: "Nichts passt.",
  noneYet: "Noch keine Filme. Der erste erscheint hier, wenn ein Zeitfenster vorbei ist und seine Bilder da sind.",
  frame: "{count} Bild", frames: "{count} Bilder", day: "{count} Tag", days: "{count} Tage",
  best: "Platz {rank} von {count}", rate: "{count} je Sekunde", recipe: "Rezept {name}", made: "erstellt {moment}",
  leftOut: "{count} ausgelassen", flicker: "Flackern {count} mEV",
  kinds: {
    keogram: "Keogramm", keogram_year: "Jahreskeogramm", startrail: "Sternspuren", best_frame: "Bestes Bild",
  },
};

const LANGUAGES = { en: ENGLISH, de: GERMAN };
const shortOf = (tag) => tag.slice(0, 2).toLowerCase();

// The first language of the reader that there are words of; days and numbers are never of another one.
export const language = navigator.languages.find((tag) => shortOf(tag) in LANGUAGES) ?? "en";
const WORDS = LANGUAGES[shortOf(language)];

export const KINDS = WORDS.kinds;

export function say(name, places = {}) {
  return WORDS[name].replace(/\{(\w+)\}/g, (_whole, place) => places[place]);
}

const utc = new Intl.DateTimeFormat(language, {
  weekday: "long", year: "numeric", month: "long", day: "numeric", timeZone: "UTC",
});
const local = new Intl.DateTimeFormat(language, {
  month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit",
});

export const nameOfDay = (day) => utc.format(new Date(`${day}T00:00:00Z`));
export const moment = (instant) => local.format(new Date(instant));

export function figure(value, digits = 0) {
  const fraction = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return new Intl.NumberFormat(language, fraction).format(value);
}

const counted = (one, many) => (count) => say(count === 1 ? one : many, { count: figure(count) });
export const frames = counted("frame", "frames");
export const days = counted("day", "days");

// A search for kinds of results in the words of the API, which knows English alone; names stay what they are.
export function asAsked(words, names) {
  const english = (word) => {
    if (names.some((name) => name.toLowerCase().includes(word))) return word;
    const kinds = Object.entries(WORDS.kinds).map(([kind, said]) => [said.toLowerCase(), ENGLISH.kinds[kind]]);
    const begun = (said) => WORDS !== ENGLISH && word.length > 2 && said.split(" ").some((part) => part.startsWith(word));
    return kinds.find(([said]) => word.startsWith(said) || begun(said))?.[1] ?? word;
  };
  return words.toLowerCase().split(/\s+/).map(english).join(" ");
}

// Puts words where the page has places for them.
export function dress(root) {
  document.documentElement.lang = shortOf(language);
  for (const element of root.querySelectorAll("[data-say]")) element.textContent = say(element.dataset.say);
  for (const element of root.querySelectorAll("[data-label]")) element.ariaLabel = say(element.dataset.label);
  for (const element of root.querySelectorAll("[data-hint]")) element.placeholder = say(element.dataset.hint);
}
