"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const NEAR = data.near;
  const rows = (count) => count.toLocaleString("en-US");
  const percent = (kept, of) => (of ? ((100 * kept) / of).toFixed(2) : "100.00") + " %";
  const passes = {
    lower: (number, cut) => number >= cut,
    above: (number, cut) => number > cut,
    upper: (number, cut) => number <= cut,
    below: (number, cut) => number < cut,
  };
  const changes = new Map();

  // Settings as YAML: keys in order, nested by two blanks, as the command writes them.
  function nested(entries) {
    const lines = [];
    let before = [];
    for (const [key, line] of [...entries].sort((a, b) => (a[0] < b[0] ? -1 : 1))) {
      const parents = key.split(".").slice(0, -1);
      let shared = 0;
      while (shared < parents.length && shared < before.length && parents[shared] === before[shared]) shared++;
      for (let at = shared; at < parents.length; at++) lines.push("  ".repeat(at) + parents[at] + ":");
      lines.push("  ".repeat(parents.length) + line);
      before = parents;
    }
    return lines.join("\n");
  }

  function showChanges() {
    const output = document.getElementById("changes");
    output.textContent = changes.size ? nested(changes) : "# no cut was moved";
    document.getElementById("copy-changes").disabled = !changes.size;
  }

  function copy(button, text) {
    const done = () => {
      const label = button.textContent;
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = label), 1200);
    };
    if (navigator.clipboard) navigator.clipboard.writeText(text).then(done, () => {});
  }

  function select(element) {
    const range = document.createRange();
    range.selectNodeContents(element);
    const selection = getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
  }

  function setUp(section) {
    const cut = data.cuts[Number(section.dataset.cut)];
    const find = (name) => section.querySelector(name);
    const slider = find("input[type=range]");
    if (!slider) return;
    const keepsHigh = cut.bound === "lower" || cut.bound === "above";
    const last = cut.labels.length - 1;
    const kept = document.getElementById(section.id + "-chart-kept");
    const removed = document.getElementById(section.id + "-chart-removed");
    const galleries = { low: find(".low .gallery"), high: find(".high .gallery"), pool: find(".pool") };
    const figures = [...section.querySelectorAll("figure")].map((element) => ({
      element,
      number: Number(element.dataset.number),
      order: Number(element.dataset.order),
    }));
    figures.sort((a, b) => a.order - b.order);

    function showSamples(position) {
      const value = Number(cut.labels[position]);
      const isHigh = (each) => passes[cut.bound](each.number, value) === keepsHigh;
      const low = figures.filter((each) => !isHigh(each)).slice(-NEAR);
      const high = figures.filter(isHigh).slice(0, NEAR);
      const displayed = new Set([...low, ...high]);
      for (const [name, chosen] of [["low", low], ["high", high]]) {
        galleries[name].replaceChildren(...chosen.map((each) => each.element));
        find("." + name + " .empty").hidden = chosen.length > 0;
      }
      galleries.pool.replaceChildren(...figures.filter((each) => !displayed.has(each)).map((each) => each.element));
    }

    function show(position) {
      const isStart = position === cut.current;
      const isOff = isStart && cut.off;
      const count = cut.kept[position];
      const place = last ? position / last : 0;
      const [before, after] = keepsHigh ? [removed, kept] : [kept, removed];
      before.setAttribute("width", 1000 * place);
      after.setAttribute("x", 1000 * place);
      after.setAttribute("width", 1000 * (1 - place));
      find(".cut-line").style.left = 100 * place + "%";
      find(".share-kept").textContent = percent(count, cut.measured);
      find(".kept-rows").textContent = rows(count);
      find(".removed-rows").textContent = rows(cut.measured - count);
      const error = find(".error");
      if (error) error.textContent = (196 * Math.sqrt(((count / cut.measured) * (1 - count / cut.measured)) / cut.measured)).toFixed(2);
      const text = isOff ? "null" : cut.labels[position];
      const line = cut.name + ": " + text;
      find(".yaml code").textContent = line;
      find(".cut-value").textContent = isOff ? "off" : cut.labels[position];
      slider.setAttribute("aria-valuetext", (isOff ? "off" : cut.labels[position]) + ", " + percent(count, cut.measured) + " kept");
      section.classList.toggle("moved", !isStart);
      find(".reset").disabled = isStart;
      if (isStart) changes.delete(cut.key);
      else changes.set(cut.key, line);
      cut.groups.forEach((group, at) => {
        const cells = section.querySelectorAll("tbody tr")[at].children;
        cells[2].textContent = rows(group.kept[position]);
        cells[3].textContent = percent(group.kept[position], group.measured);
      });
      const overview = document.querySelector('.overview tr[data-cut="' + section.dataset.cut + '"]');
      overview.querySelector(".value").textContent = isOff ? "off" : cut.labels[position];
      overview.querySelector(".share").textContent = percent(count, cut.measured);
      showSamples(position);
      showChanges();
    }

    slider.addEventListener("input", () => show(Number(slider.value)));
    find(".reset").addEventListener("click", () => {
      slider.value = cut.current;
      show(cut.current);
    });
    find(".copy").addEventListener("click", (event) => {
      select(find(".yaml code"));
      copy(event.target, find(".yaml code").textContent);
    });
    const plot = find(".plot");
    const drag = (event) => {
      if (event.buttons !== 1) return;
      const box = plot.getBoundingClientRect();
      const place = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
      slider.value = Math.round(place * last);
      show(Number(slider.value));
    };
    plot.addEventListener("pointerdown", drag);
    plot.addEventListener("pointermove", drag);
    // A browser may bring a slider back to where it was when the page was left.
    slider.value = cut.current;
    show(cut.current);
  }

  document.querySelectorAll("section.cut").forEach(setUp);
  document.getElementById("copy-changes").addEventListener("click", (event) => {
    select(document.getElementById("changes"));
    copy(event.target, document.getElementById("changes").textContent);
  });
  showChanges();
})();
