"""Opens a page in a real browser and prints, as JSON, what it finds there.

A process of its own: python browser.py PAGE WIDTH light|dark PICTURE [AXE], with PyQt6-WebEngine;
AXE is axe.min.js, which looks for what a keyboard or a screen reader would miss.
"""

import json
import os
import sys
from pathlib import Path

os.environ["QT_QPA_PLATFORM"] = "offscreen"
os.environ["QTWEBENGINE_CHROMIUM_FLAGS"] = " ".join(
    (
        "--no-sandbox --disable-gpu",
        f"--blink-settings=preferredColorScheme={int(sys.argv[3] == 'light')}",
    )
)

from PyQt6.QtCore import QTimer, QUrl
from PyQt6.QtWebEngineCore import (
    QWebEnginePage,
    QWebEngineProfile,
    QWebEngineUrlRequestInterceptor,
)
from PyQt6.QtWebEngineWidgets import QWebEngineView
from PyQt6.QtWidgets import QApplication

LOOK = """
{
const all = (selector) => [...document.querySelectorAll(selector)];
const value = (cell) => cell.dataset.value ?? cell.textContent;
const grid = document.querySelector("table"), button = grid.querySelector("th button");
const first = () => [...grid.tBodies[0].rows].map((row) => value(row.children[0]));
const found = {
  overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  figures: all("figure svg").map((svg) => [svg.getBoundingClientRect()])
    .map(([box]) => [box.width, box.height]),
  ground: all("figure svg").map((svg) => getComputedStyle(svg).backgroundColor),
  letters: all("figure svg text:not(.name)").map((text) => getComputedStyle(text).fill),
  background: getComputedStyle(document.body).backgroundColor,
  ink: getComputedStyle(document.body).color,
  hover: all("figure svg title").length,
  waiting: all("template").length,
  cut: all(".wide").filter((box) => box.scrollWidth > box.clientWidth + 1)
    .map((box) => getComputedStyle(box, "::before").content.length > 10),
};
button.click();
found.up = first();
button.click();
found.down = first();
const field = document.getElementById("search");
field.value = "RANK 4, seed";
field.dispatchEvent(new Event("input"));
found.searched = all(".run").filter((run) => !run.hidden).map((run) => run.id);
location.hash = "#" + all(".run").at(-1).id;
JSON.stringify(found);
}
"""
OPENED = """
{
const all = (selector) => [...document.querySelectorAll(selector)];
JSON.stringify({
  opened: all(".run[open]").map((run) => run.id),
  waits: all("template").length,
  mistakes: all(".run td:first-child").map((cell) => cell.textContent),
  drawn: all(".run[open] svg").length,
  foreign: all("td img, td script, td b").length,
  hacked: typeof window.hacked,
});
}
"""
AXE = """
for (const one of document.querySelectorAll("details")) one.open = true;
setTimeout(() => axe.run().then((found) => { window.axeFound = found.violations.map(
  (one) => one.id + ": " + one.nodes.slice(0, 3).map((node) => node.html.slice(0, 200))); }), 300);
"""
page, width, _, picture, *axe = sys.argv[1:]
requests, messages, result = [], [], {}


class Watch(QWebEngineUrlRequestInterceptor):
    def interceptRequest(self, info):
        requests.append(info.requestUrl().scheme())


class Page(QWebEnginePage):
    def javaScriptConsoleMessage(self, level, message, line, source):
        messages.append(message)


app = QApplication(sys.argv[:1])
profile, watch = QWebEngineProfile(), Watch()
profile.setUrlRequestInterceptor(watch)
view = QWebEngineView()
view.setPage(Page(profile, view))
view.resize(int(width), 1400)


def run(script, then):
    view.page().runJavaScript(script, then)


def finish():
    print(json.dumps({**result, "requests": sorted({*requests}), "messages": messages}))
    app.quit()


def asked(found):
    if found is None:
        QTimer.singleShot(200, lambda: run("window.axeFound", asked))
    else:
        result["axe"] = found
        finish()


def opened(found):
    result.update(json.loads(found))
    view.grab().save(picture)
    if not axe:
        finish()
    else:
        code = Path(axe[0]).read_text(encoding="utf-8")
        run(code, lambda _: run(AXE, lambda _: asked(None)))


def looked(found):
    result.update(json.loads(found))
    QTimer.singleShot(600, lambda: run(OPENED, opened))


view.loadFinished.connect(lambda ok: run(LOOK, looked))
view.load(QUrl.fromLocalFile(page))
view.show()
QTimer.singleShot(60_000, app.quit)  # never hang
app.exec()
