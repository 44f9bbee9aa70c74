"use strict";

// Tables that sort by any column; a cell sorts by data-value where it has one, else by its text.
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const descending = heading.getAttribute("aria-sort") !== "descending";
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
      const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
      const order = (a, b) => a.localeCompare(b, undefined, { numeric: true });
      const by = (a, b) => (isNaN(a) || isNaN(b) ? order(a, b) : a - b);
      const rows = [...table.tBodies[0].rows].sort((a, b) => by(key(a), key(b)));
      table.tBodies[0].append(...(descending ? rows.reverse() : rows));
    });
  });
}

// The threshold that moves the confusion matrix and what it means for 1,000 patients.
const explorer = document.querySelector(".explorer");
if (explorer) {
  const data = JSON.parse(explorer.querySelector("script").textContent);
  const slider = explorer.querySelector("input");
  const prevalence = explorer.querySelector("select");
  const percent = (value) => (100 * value).toFixed(1) + "%";
  const count = (number) => Math.round(number).toLocaleString("en-US");
  const z = 1.959963984540054;
  let threshold = data.start; // exact, where the slider has steps

  // Wilson (1927), as in the tables.
  const interval = (hits, all) => {
    const share = hits / all;
    const middle = (share + (z * z) / (2 * all)) / (1 + (z * z) / all);
    const half = (z / (1 + (z * z) / all)) *
      Math.sqrt((share * (1 - share)) / all + (z * z) / (4 * all * all));
    const low = Math.max(0, middle - half), high = Math.min(1, middle + half);
    return percent(share) + " (" + percent(low) + data.range + percent(high) + ")";
  };

  const show = () => {
    const positive = data.positive.length, negative = data.negative.length;
    const found = data.positive.filter((p) => p >= threshold).length;
    const alarms = data.negative.filter((p) => p >= threshold).length;
    const sensitivity = found / positive, falseAlarm = alarms / negative;
    const share = Number(prevalence.value);
    const missed = 1000 * share * (1 - sensitivity), called = 1000 * (1 - share) * falseAlarm;
    const caught = 1000 * share * sensitivity, passed = 1000 * (1 - share) * (1 - falseAlarm);
    const values = {
      threshold: threshold.toFixed(3), prevalence: Number((100 * share).toFixed(4)) + "%",
      tp: count(found), fn: count(positive - found), fp: count(alarms), tn: count(negative - alarms),
      sensitivity: interval(found, positive), specificity: interval(negative - alarms, negative),
      accuracy: interval(found + negative - alarms, positive + negative),
      missed: count(missed), called: count(called), caught: count(caught),
      ppv: found + alarms ? percent(caught / (caught + called)) : data.none,
      npv: positive + negative - found - alarms ? percent(passed / (passed + missed)) : data.none,
    };
    for (const [name, value] of Object.entries(values)) {
      for (const place of explorer.querySelectorAll(`[data-out="${name}"]`)) {
        place.textContent = value;
      }
    }
    slider.setAttribute("aria-valuetext", values.threshold);
  };

  slider.addEventListener("input", () => {
    threshold = Number(slider.value);
    show();
  });
  prevalence.addEventListener("input", show);
  for (const button of explorer.querySelectorAll("[data-threshold]")) {
    button.addEventListener("click", () => {
      threshold = Number(button.dataset.threshold);
      slider.value = threshold;
      show();
    });
  }
  explorer.querySelector(".controls").hidden = false;
  show();
}
