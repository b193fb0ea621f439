// Keograms, star trails and best frames among the films of their day.

import { KINDS, days, figure, frames, nameOfDay, say } from "./words.js";

const $ = (id) => document.getElementById(id);

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

// A title is the camera's name, the kind in English and the day; a name may hold the same sign.
const cameraOf = (result) => result.title.split(" · ").slice(0, -2).join(" · ");

// A day has several best frames, which say when they were taken: "Best frame 21:04".
const kindOf = (result) => {
  const [at] = / \d\d:\d\d( UTC)?$/.exec(result.title.split(" · ").at(-2)) ?? [""];
  return `${KINDS[result.kind] ?? result.kind}${at}`;
};

const whenOf = (result) => result.title.split(" · ").at(-1);

function detail(result) {
  if (result.kind === "keogram_year") return days(result.frames);
  const count = frames(result.frames);
  const best = { rank: figure(result.rank), count: figure(result.frames), frames: count };
  return result.kind === "best_frame" ? say("best", best) : count;
}

function card(result, address) {
  const name = `${cameraOf(result)} · ${kindOf(result)}`;
  const title = `${name} · ${whenOf(result)}`;
  const element = $("result").content.firstElementChild.cloneNode(true);
  element.classList.toggle("wide", result.kind.startsWith("keogram"));
  element.querySelector("img").src = address(result.thumb);
  element.querySelector("img").alt = title;
  element.querySelector(".name").textContent = name;
  element.querySelector(".detail").textContent = detail(result);
  element.dataset.result = result.id;
  element.addEventListener("click", () => {
    $("still-picture").src = address(result.picture);
    $("still-picture").alt = title;
    $("still-title").textContent = title;
    $("still").showModal();
  });
  return element;
}

export function appendResults(results, { address }) {
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
