/* What the cards say, in English and German; whatever Home Assistant has a word for is its own. */

const ENGLISH = {
  cardName: "Skylapse camera",
  cardDescription: "Live frame, film of today, sun dial with windows, exposure, and what to do.",
  compareName: "Skylapse A/B test",
  compareDescription: "Two arms of an A/B test before and after a slider, with their scores.",
  strategyDescription: "All cameras of Skylapse, their A/B tests, windows and the processor.",
  noCamera: "There is no camera of Skylapse here yet.",
  cameraGone: "The camera of this card is not there any more. Choose another one.",
  unknownPart: "Under show stands {unknown}, which is no part of this card. Its parts are: {parts}.",
  frameAlt: "Latest frame of {name}",
  noFrame: "No frame yet",
  frameAway: "The picture is here again when the camera is heard again.",
  frameMissing: "The latest frame cannot be loaded at the moment.",
  frame: "Picture",
  today: "Today",
  filmAway: "The film of today is at the processor, which is offline.",
  noFilmToday: "No frame was stored today, so there is no film of today yet.",
  filmFails: "The film of today cannot be played: {reason}",
  dial: "Sun and windows",
  dialAlt: "Dial of {day}: {sun}. {windows}. It is {now}.",
  sunUp: "the sun is up from {from} to {to}",
  sunAlwaysUp: "the sun is up all day",
  sunNeverUp: "the sun does not rise",
  noWindows: "No windows today",
  windowEvery: "{title}, {when}, every {every}",
  allDay: "all day",
  ruling: "now",
  over: "over",
  trace: "Today's light",
  noTrace: "No reading today yet.",
  traceAlt: "{name}, from {from} to {to}: lowest {low}, highest {high}, latest {last} {unit}.",
  captureNow: "Capture now",
  filmNow: "Build film now",
  done: "{what}: done",
  failed: "{what}: {reason}",
  capturing: "Capturing",
  resting: "Resting",
  oneFrame: "1 frame today",
  frames: "{count} frames today",
  next: "next {time}",
  pending: "Settings on their way",
  live: "Live",
  off: "Capture is off",
  unheard: "Nothing is heard of the camera: Home Assistant is not connected to the MQTT broker, or is just starting.",
  offline: "The bridge of this camera is offline. What it photographs meanwhile comes later.",
  processorAway: "The processor is offline. Frames wait at the bridge.",
  problem: "The camera has a problem: {reason}",
  settings: "A setting is not followed: {reason}",
  lens: "Something covers the lens: {reason}",
  lensPlain: "Something covers the lens.",
  delivery: "Frames are not delivered: {reason}",
  oneDropped: "1 frame was lost because the bridge's disk was full.",
  dropped: "{count} frames were lost because the bridge's disk was full.",
  noPicture: "There is no picture to take: {reason}",
  unnamed: "no reason was given",
  test: "Test",
  pair: "Pair",
  arm: "Arm",
  noTests: "There is no A/B test yet. Add one under Settings, Devices & services, Skylapse.",
  noSuchTest: "There is no A/B test {test} here. Choose another one.",
  running: "The test runs until {time}. Pictures come when it is over.",
  ended: "The test is over. The processor compares its pictures.",
  notCompared: "The test could not be compared: {reason}",
  noPairs: "The arms have no pictures of the same light.",
  slider: "Divider between {left} and {right}",
  sliderAt: "{percent} % {left}",
  earlier: "Earlier pair",
  later: "Later pair",
  left: "Left",
  right: "Right",
  scores: "Scores",
  score: "Score",
  framesCount: "Frames",
  exposureError: "Exposure error",
  clippedLow: "Black",
  clippedHigh: "White",
  noise: "Noise",
  sharpness: "Sharpness",
  colourDrift: "Colour drift",
  flicker: "Flicker",
  winner: "best",
  noWinner: "No arm is clearly better.",
  loading: "Loading …",
  retry: "Try again",
  cannotLoad: "Home Assistant did not answer: {reason}",
  pictureAlt: "{arm}, {time}",
  optionDevice: "Camera",
  optionName: "Name",
  optionShow: "Parts",
  optionTest: "Test (the latest one if empty)",
  partFrame: "Latest frame",
  partFilm: "Film of today",
  partDial: "Sun and windows",
  partTrace: "Today's light",
  partButtons: "Buttons",
  partBadges: "State",
  cameras: "Cameras",
  tests: "A/B tests",
  processor: "Processor",
  windows: "Windows",
  filmsIn: "Films and frames are in the [media browser](/media-browser/browser/app%2Cmedia-source%3A%2F%2Fskylapse).",
  welcome: "No camera of Skylapse has been heard of yet. It appears here by itself.",
};

const GERMAN = {
  cardName: "Skylapse-Kamera",
  cardDescription: "Neuestes Bild, Film von heute, Sonnenuhr mit Zeitfenstern, Belichtung und was zu tun ist.",
  compareName: "Skylapse-A/B-Test",
  compareDescription: "Zwei Arme eines A/B-Tests links und rechts eines Schiebers, mit ihren Bewertungen.",
  strategyDescription: "Alle Kameras von Skylapse, ihre A/B-Tests, Zeitfenster und der Prozessor.",
  noCamera: "Hier ist noch keine Kamera von Skylapse.",
  cameraGone: "Die Kamera dieser Karte gibt es nicht mehr. Wähle eine andere.",
  unknownPart: "Unter show steht {unknown}, das kein Teil dieser Karte ist. Ihre Teile sind: {parts}.",
  frameAlt: "Neuestes Bild von {name}",
  noFrame: "Noch kein Bild",
  frameAway: "Das Bild ist wieder da, sobald die Kamera wieder zu hören ist.",
  frameMissing: "Das neueste Bild lässt sich gerade nicht laden.",
  frame: "Bild",
  today: "Heute",
  filmAway: "Der Film von heute liegt beim Prozessor, und der ist offline.",
  noFilmToday: "Heute wurde noch kein Bild gespeichert, darum gibt es noch keinen Film von heute.",
  filmFails: "Der Film von heute lässt sich nicht abspielen: {reason}",
  dial: "Sonne und Zeitfenster",
  dialAlt: "Sonnenuhr des {day}: {sun}. {windows}. Es ist {now}.",
  sunUp: "die Sonne steht von {from} bis {to} am Himmel",
  sunAlwaysUp: "die Sonne geht nicht unter",
  sunNeverUp: "die Sonne geht nicht auf",
  noWindows: "Heute keine Zeitfenster",
  windowEvery: "{title}, {when}, alle {every}",
  allDay: "den ganzen Tag",
  ruling: "jetzt",
  over: "vorbei",
  trace: "Licht von heute",
  noTrace: "Heute noch keine Messung.",
  traceAlt: "{name}, von {from} bis {to}: tiefster Wert {low}, höchster {high}, letzter {last} {unit}.",
  captureNow: "Jetzt aufnehmen",
  filmNow: "Film jetzt erstellen",
  done: "{what}: erledigt",
  failed: "{what}: {reason}",
  capturing: "Nimmt auf",
  resting: "Ruht",
  oneFrame: "1 Bild heute",
  frames: "{count} Bilder heute",
  next: "nächstes {time}",
  pending: "Einstellungen unterwegs",
  live: "Live",
  off: "Aufnahme ist aus",
  unheard: "Von der Kamera ist nichts zu hören: Home Assistant ist nicht mit dem MQTT-Broker verbunden oder startet gerade.",
  offline: "Die Bridge dieser Kamera ist offline. Was sie inzwischen aufnimmt, kommt später.",
  processorAway: "Der Prozessor ist offline. Die Bilder warten bei der Bridge.",
  problem: "Die Kamera hat ein Problem: {reason}",
  settings: "Eine Einstellung wird nicht befolgt: {reason}",
  lens: "Etwas verdeckt das Objektiv: {reason}",
  lensPlain: "Etwas verdeckt das Objektiv.",
  delivery: "Bilder werden nicht zugestellt: {reason}",
  oneDropped: "1 Bild ging verloren, weil der Speicher der Bridge voll war.",
  dropped: "{count} Bilder gingen verloren, weil der Speicher der Bridge voll war.",
  noPicture: "Es gibt kein Bild aufzunehmen: {reason}",
  unnamed: "kein Grund angegeben",
  test: "Test",
  pair: "Paar",
  arm: "Arm",
  noTests: "Es gibt noch keinen A/B-Test. Füge einen hinzu: Einstellungen, Geräte & Dienste, Skylapse.",
  noSuchTest: "Einen A/B-Test {test} gibt es hier nicht. Wähle einen anderen.",
  running: "Der Test läuft bis {time}. Bilder kommen, wenn er vorbei ist.",
  ended: "Der Test ist vorbei. Der Prozessor vergleicht die Bilder.",
  notCompared: "Der Test konnte nicht verglichen werden: {reason}",
  noPairs: "Die Arme haben keine Bilder vom selben Licht.",
  slider: "Trennlinie zwischen {left} und {right}",
  sliderAt: "{percent} % {left}",
  earlier: "Früheres Paar",
  later: "Späteres Paar",
  left: "Links",
  right: "Rechts",
  scores: "Bewertungen",
  score: "Bewertung",
  framesCount: "Bilder",
  exposureError: "Belichtungsfehler",
  clippedLow: "Schwarz",
  clippedHigh: "Weiß",
  noise: "Rauschen",
  sharpness: "Schärfe",
  colourDrift: "Farbdrift",
  flicker: "Flackern",
  winner: "am besten",
  noWinner: "Kein Arm ist klar besser.",
  loading: "Lädt …",
  retry: "Noch einmal",
  cannotLoad: "Home Assistant antwortet nicht: {reason}",
  pictureAlt: "{arm}, {time}",
  optionDevice: "Kamera",
  optionName: "Name",
  optionShow: "Teile",
  optionTest: "Test (leer: der neueste)",
  partFrame: "Neuestes Bild",
  partFilm: "Film von heute",
  partDial: "Sonne und Zeitfenster",
  partTrace: "Licht von heute",
  partButtons: "Knöpfe",
  partBadges: "Zustand",
  cameras: "Kameras",
  tests: "A/B-Tests",
  processor: "Prozessor",
  windows: "Zeitfenster",
  filmsIn: "Filme und Bilder sind im [Medienbrowser](/media-browser/browser/app%2Cmedia-source%3A%2F%2Fskylapse).",
  welcome: "Noch hat sich keine Kamera von Skylapse gemeldet. Sie erscheint hier von selbst.",
};

export const LANGUAGES = { en: ENGLISH, de: GERMAN };

/* The words of the user's language, English where there are none. */
export function words(hass) {
  const language = String((hass && hass.language) || "en").slice(0, 2);
  return LANGUAGES[language] || ENGLISH;
}

/* Put values into the places of a sentence. */
export function say(sentence, places) {
  return sentence.replace(/\{(\w+)\}/g, (whole, name) => (name in places ? String(places[name]) : whole));
}

/* A time of day as the user reads it, in the house's time zone or another one. */
export function clock(hass, moment, zone) {
  const locale = hass.locale || {};
  const hour12 = { 12: true, 24: false }[locale.time_format];
  const options = { hour: "2-digit", minute: "2-digit", timeZone: zone || hass.config.time_zone };
  return new Intl.DateTimeFormat(hass.language, { ...options, ...(hour12 === undefined ? {} : { hour12 }) }).format(
    new Date(moment),
  );
}

const MOMENT = /\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)? UTC/g;

/* What a program says, with the moments in it as the user reads them. */
export function inLocalTime(hass, sentence) {
  return sentence?.replace(MOMENT, (moment) => {
    const at = moment.replace(" UTC", "Z").replace(" ", "T");
    return `${date(hass, at)}, ${clock(hass, at)}`;
  });
}

/* A day as the user reads it. */
export function date(hass, moment, zone) {
  const options = { weekday: "long", day: "numeric", month: "long", timeZone: zone || hass.config.time_zone };
  return new Intl.DateTimeFormat(hass.language, options).format(new Date(moment));
}

/* A number as the user reads it. */
export function figure(hass, value, digits, signDisplay) {
  const options = { maximumFractionDigits: digits ?? 1, signDisplay: signDisplay || "auto" };
  return new Intl.NumberFormat(hass.language, options).format(value).replace("-", "−");
}

/* Seconds in the largest unit that fits. */
export function span(hass, seconds) {
  const [unit, size] = seconds >= 3600 ? ["hour", 3600] : seconds >= 90 ? ["minute", 60] : ["second", 1];
  return new Intl.NumberFormat(hass.language, {
    style: "unit",
    unit,
    unitDisplay: "narrow",
    maximumFractionDigits: 1,
  }).format(seconds / size);
}
