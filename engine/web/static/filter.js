// Which events are shown: by account, kind and words.

const form = document.getElementById("filter");
const body = document.querySelector('tbody[data-rows="events"]');

export function filterEvents() {
  const { account, kind, search } = form.elements;
  const kinds = new Set([...kind.options].map((each) => each.value));
  for (const row of body.rows) {
    if (!kinds.has(row.dataset.kind)) {
      kinds.add(row.dataset.kind);
      kind.add(new Option(row.dataset.kind, row.dataset.kind));
    }
  }
  const words = search.value.toLowerCase();
  let shown = 0;
  for (const row of body.rows) {
    const fits = (!account.value || row.dataset.account === account.value)
      && (!kind.value || row.dataset.kind === kind.value)
      && (!words || row.textContent.toLowerCase().includes(words));
    row.hidden = !fits;
    shown += fits;
  }
  const all = body.rows.length;
  document.getElementById("events-told").textContent = all ? shown === all ? "" : `${shown} of ${all}` : "none yet";
}

export function beginFilter() {
  form.addEventListener("input", filterEvents);
  form.addEventListener("submit", (event) => event.preventDefault());
  filterEvents();
}
