// Keograms, star trails and best frames among the films of their day.

const $ = (id) => document.getElementById(id);

const NAMES = {
  keogram: "Keogram", keogram_year: "Keogram of the year", startrail: "Star trail", best_frame: "Best frame",
};
const number = new Intl.NumberFormat();

// Sections stand newest first; a year comes after the last of its days.
export function sectionOf(day, heading) {
  const sections = [...$("films").children];
  const known = sections.find((section) => section.dataset.day === day);
  if (known) return known;
  const section = $("day").content.firstElementChild.cloneNode(true);
  section.dataset.day = day;
  section.querySelector("h2").textContent = heading;
  $("films").insertBefore(section, sections.find((other) => other.dataset.day < day) ?? null);
  return section;
}

function detail(result) {
  const what = result.kind === "keogram_year" ? "day" : "frame";
  const count = `${number.format(result.frames)} ${what}${result.frames === 1 ? "" : "s"}`;
  return result.kind === "best_frame" ? `best ${result.rank} of ${count}` : count;
}

function card(result, address) {
  const element = $("result").content.firstElementChild.cloneNode(true);
  element.classList.toggle("wide", result.kind.startsWith("keogram"));
  element.querySelector("img").src = address(result.thumb);
  element.querySelector("img").alt = result.title;
  element.querySelector(".name").textContent = NAMES[result.kind] ?? result.title;
  element.querySelector(".detail").textContent = detail(result);
  element.dataset.result = result.id;
  element.addEventListener("click", () => {
    $("still-picture").src = address(result.picture);
    $("still-picture").alt = result.title;
    $("still-title").textContent = result.title;
    $("still").showModal();
  });
  return element;
}

export function appendResults(results, { address, nameOfDay }) {
  for (const result of results) {
    if ($("films").querySelector(`[data-result="${result.id}"]`)) continue;  // it has moved meanwhile
    const year = result.kind === "keogram_year" ? result.day.slice(0, 4) : null;
    const section = year ? sectionOf(year, year) : sectionOf(result.day, nameOfDay(result.day));
    section.querySelector(".grid").append(card(result, address));
  }
}

$("still-close").addEventListener("click", () => $("still").close());
$("still").addEventListener("click", (event) => { if (event.target === $("still")) $("still").close(); });
$("still").addEventListener("close", () => $("still-picture").removeAttribute("src"));
