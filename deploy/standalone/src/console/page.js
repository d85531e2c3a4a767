"use strict";
// Everything here that came from a user goes in through textContent: it is shown, never interpreted.

const byId = (id) => document.getElementById(id);
const whole = (count) => Number(count).toLocaleString("en");

function cell(text, className) {
  const td = document.createElement("td");
  td.textContent = text;
  if (className) td.className = className;
  return td;
}

function fill(id, rows, empty, columns) {
  const lines = rows.map((cells) => {
    const tr = document.createElement("tr");
    tr.append(...cells);
    return tr;
  });
  if (lines.length === 0) {
    const td = cell(empty, "quiet");
    td.colSpan = columns;
    const tr = document.createElement("tr");
    tr.append(td);
    lines.push(tr);
  }
  byId(id).replaceChildren(...lines);
}

function figure(name, count) {
  const div = document.createElement("div");
  const dt = document.createElement("dt");
  const dd = document.createElement("dd");
  dt.textContent = name;
  dd.textContent = whole(count);
  div.append(dt, dd);
  return div;
}

const sum = (counts) => counts.reduce((total, { count }) => total + count, 0);
const counted = (counts) => counts.map(({ reason, count }) => [cell(reason), cell(whole(count), "number")]);
const time = (micros) => new Date(micros / 1000).toISOString().replace("T", " ").replace("Z", "");

function show(view) {
  const { ledger } = view;
  byId("ledger").replaceChildren(
    figure("received", ledger.received),
    figure("accepted", ledger.accepted),
    figure("rejected", sum(ledger.rejected)),
    figure("in flight", ledger.in_flight),
    figure("rows in the lake", ledger.rows),
    figure("duplicates", ledger.duplicates),
  );
  fill("rejected", counted(ledger.rejected), "none", 2);
  fill("refused", counted(ledger.refused), "none", 2);
  fill("dead", counted(ledger.dead_letters), "none", 2);
  fill(
    "partitions",
    view.partitions.map((p) => [
      cell(p.partition, "number"), cell(p.lag_seconds.toFixed(1), "number"), cell(whole(p.lag_records), "number"),
    ]),
    "no partitions yet", 3,
  );
  fill(
    "rows",
    view.rows.map((row) => [
      cell(time(row.received_at), "time"), cell(row.name ? `${row.type}: ${row.name}` : row.type), cell(row.user),
      cell(row.url), cell(row.text), cell(row.partition, "number"), cell(row.offset, "number"),
    ]),
    "none yet: POST an event to /v1/events", 7,
  );
  byId("lake").textContent = view.problem ? `${view.lake}: ${view.problem}` : `${view.lake}, times in UTC`;
}

function state(text, bad) {
  byId("state").textContent = text;
  byId("state").className = bad ? "bad" : "";
}

async function refresh() {
  try {
    const [view, ready] = await Promise.all([fetch("/console.json"), fetch("/readyz")]);
    show(await view.json());
    const { reasons } = await ready.json();
    state(reasons.length === 0 ? "ready" : `not ready: ${reasons.join("; ")}`, reasons.length > 0);
  } catch {
    state("no answer from footfall", true);
  }
  setTimeout(refresh, 1000);
}

refresh();
