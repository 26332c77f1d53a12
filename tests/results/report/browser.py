"""Opens a page in a real browser and prints, as JSON, what it finds there.

A process of its own: python browser.py PAGE WIDTH light|dark PICTURE, with PyQt6-WebEngine.
"""

import json
import os
import sys

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
const texts = (rows, n) => [...rows].map((row) => row.children[n].dataset.value);
const grid = document.querySelector("table"), button = grid.querySelector("th button");
const found = {
  overflow: document.documentElement.scrollWidth - innerWidth,
  images: [...document.images].map((image) => image.naturalWidth),
  background: getComputedStyle(document.body).backgroundColor,
  ink: getComputedStyle(document.body).color,
  title: document.querySelector("h1").textContent,
  foreign: document.querySelectorAll("td img, td script, td b").length,
  hacked: typeof window.hacked,
  mistakes: [...document.querySelectorAll("details td:first-child")].map((c) => c.textContent),
  open: document.querySelectorAll("details[open]").length,
};
button.click();
found.up = texts(grid.tBodies[0].rows, 0);
button.click();
found.down = texts(grid.tBodies[0].rows, 0);
location.hash = document.querySelector("td a").getAttribute("href");
JSON.stringify(found);
"""
page, width, _, picture = sys.argv[1:]
requests, messages = [], []


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


def finish(opened):
    view.grab().save(picture)
    result["opened"] = opened
    print(json.dumps({**result, "requests": sorted({*requests}), "messages": messages}))
    app.quit()


def looked(found):
    result.update(json.loads(found))
    script = "document.querySelectorAll('details[open]').length"
    QTimer.singleShot(600, lambda: view.page().runJavaScript(script, finish))


result = {}
view.loadFinished.connect(lambda ok: view.page().runJavaScript(LOOK, looked))
view.load(QUrl.fromLocalFile(page))
view.show()
QTimer.singleShot(30_000, app.quit)  # never hang
app.exec()
