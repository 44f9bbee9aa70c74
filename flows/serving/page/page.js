"use strict";
const $ = (id) => document.getElementById(id);
let latest = 0; // an answer to an earlier film must not show beside a later one
let urls = [];

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
  return `Not read: ${problem.detail}`;
}

function showModel(said) {
  const alias = said.model.alias ? `@${said.model.alias}` : "";
  $("model").textContent = `${said.model.name}${alias}, version ${said.model.version}`;
  $("operating-point").textContent = said.operating_point.replaceAll("_", " ");
  $("meaning").textContent = said.meaning;
  $("notice").textContent = said.notice;
}

function showPrediction(said) {
  $("result").className = said.decision;
  $("decision").textContent = said.decision;
  $("bar").style.width = `${100 * said.probability}%`;
  $("threshold").style.left = `${100 * said.threshold}%`;
  const shown = Math.min(Math.max(said.probability, 0.001), 0.999).toFixed(3);
  const bound = said.probability > 0.999 ? "above " : said.probability < 0.001 ? "below " : "";
  $("probability").textContent = `Probability of pneumonia ${bound}${shown}.`;
  const place = said.probability >= said.threshold ? "at or above" : "below";
  $("rule").textContent = `That is ${place} the threshold of ${said.threshold.toFixed(3)}.`;
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
    $("map-caption").textContent = "What speaks for pneumonia (HiResCAM), the strongest brightest. "
      + "It shows where the model looked, not where disease is.";
    $("map-figure").hidden = false;
  }
}

async function read(film) {
  const mine = ++latest;
  urls.forEach(URL.revokeObjectURL);
  urls = [];
  $("result").hidden = true;
  say("Reading the film ...");
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
    if (mine === latest) say("Not read: the server does not answer.", true);
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

fetch("/v1/model").then((answer) => answer.json()).then(showModel)
  .catch(() => say("The server does not answer.", true));
