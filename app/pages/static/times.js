// Shows each time in the reader's zone. The exact one, in UTC, is its tooltip. Without JavaScript the page shows UTC.
"use strict";
const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
for (const each of document.querySelectorAll("time[datetime]")) {
  const when = new Date(each.dateTime);
  if (!Number.isNaN(when.getTime())) {
    each.title = each.dateTime;
    each.textContent = format.format(when);
  }
}
