"use strict";
const $ = (id) => document.getElementById(id);
const asked = new URLSearchParams(location.search).get("lang") ?? navigator.language;
const language = asked.startsWith("ko") ? "ko" : "en";
const texts = TEXTS[language];
let latest = 0; // an answer to an earlier film must not show beside a later one
let urls = [];

function showTexts() {
  document.documentElement.lang = language;
  for (const place of document.querySelectorAll("[data-text]")) {
    place.textContent = texts[place.dataset.text];
  }
  $("film").alt = texts.film;
  $("map").alt = texts.map_alternative;
  const other = language === "ko" ? "en" : "ko";
  Object.assign($("other"), { href: `?lang=${other}`, hreflang: other, lang: other });
  $("other").textContent = texts.other;
}

function say(text, refused = false) {
  $("said").textContent = text;
  $("said").className = refused ? "refused" : "";
}

function show(id, blob) {
  const url = URL.createObjectURL(blob);
  urls.push(url);
  return new Promise((resolve, reject) => {
    $(id).onload = resolve;
    $(id).onerror = reject;
    $(id).src = url;
  });
}

function post(path, film) {
  const form = new FormData();
  form.append("file", film);
  return fetch(path, { method: "POST", body: form });
}

async function refusal(answer) {
  const problem = await answer.json().catch(() => ({ detail: answer.statusText }));
  return texts.refusal(problem);
}

function showModel(said) {
  const alias = said.model.alias ? `@${said.model.alias}` : "";
  $("model").textContent = texts.version(`${said.model.name}${alias}`, said.model.version);
  $("operating-point").textContent = texts.points[said.operating_point];
  $("meaning").textContent = texts.meaning(said);
  $("notice").textContent = texts.notice(said);
}

function showPrediction(said) {
  $("result").className = said.decision;
  $("decision").textContent = texts.decision[said.decision];
  $("bar").style.width = `${100 * said.probability}%`;
  $("threshold").style.left = `${100 * said.threshold}%`;
  const shown = Math.min(Math.max(said.probability, 0.001), 0.999).toFixed(3);
  const bound = said.probability > 0.999 ? "above" : said.probability < 0.001 ? "below" : "at";
  const probability = texts.bounds[bound](shown);
  $("probability").textContent = texts.probability(probability, said.on_validation.prevalence);
  const reached = said.probability >= said.threshold;
  $("rule").textContent = texts.rule(said.threshold.toFixed(3), reached);
  $("result").hidden = false;
  $("decision").focus();
}

async function showFilm(film) {
  $("film-figure").hidden = true;
  await show("film", film).then(() => {
    $("film-figure").hidden = false;
    $("map").style.aspectRatio = `${$("film").naturalWidth} / ${$("film").naturalHeight}`;
  }).catch(() => { $("map").style.aspectRatio = "auto"; }); // DICOM: the map shows it
}

async function showMap(film, mine) {
  $("map-figure").hidden = true;
  const answer = await post("/v1/saliency", film);
  if (mine !== latest) return;
  if (answer.ok) {
    await show("map", await answer.blob());
    $("map-figure").hidden = false;
  }
}

async function read(film) {
  const mine = ++latest;
  urls.forEach(URL.revokeObjectURL);
  urls = [];
  $("result").hidden = true;
  say(texts.reading);
  try {
    const answer = await post("/v1/predict", film);
    if (mine !== latest) return;
    if (!answer.ok) {
      say(await refusal(answer), true);
      return;
    }
    const said = await answer.json();
    if (mine !== latest) return;
    say("");
    showModel(said);
    await showFilm(film);
    showPrediction(said);
    await showMap(film, mine);
  } catch (error) {
    if (mine === latest) say(texts.not_read_silent, true);
  }
}

$("drop").addEventListener("submit", (event) => event.preventDefault());
$("file").addEventListener("change", () => {
  const [film] = $("file").files;
  if (film) read(film);
  $("file").value = ""; // so that the same file can be chosen again
});
for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    $("drop").classList.add("over");
  });
}
for (const kind of ["dragleave", "drop"]) {
  document.addEventListener(kind, () => $("drop").classList.remove("over"));
}
document.addEventListener("drop", (event) => {
  event.preventDefault();
  const [film] = event.dataTransfer.files;
  if (film) read(film);
});

showTexts();
fetch("/v1/model").then((answer) => answer.json()).then(showModel)
  .catch(() => say(texts.silent, true));
