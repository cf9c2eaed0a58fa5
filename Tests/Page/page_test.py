#!/usr/bin/env python3
"""The page that the server has at `/`, in headless Chromium against a server that only pretends, or a real one.

    python3 Tests/Page/page_test.py [--screenshots FOLDER] [--browser chromium] [--server PROGRAM MODEL]

Types, streams, stops, tries again; light and dark, wide and narrow; an API key; faults. Half a minute. With --server
`PROGRAM serve MODEL` answers, on the CPU: what a model really says, and the numbers of a server that really computes it.
"""
import argparse
import contextlib
import itertools
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from browser import Browser
from fake_server import SPEECH, Server

PAGE = pathlib.Path(__file__).parents[2] / "Sources/Serve/Page/page.html"
LAST = "document.querySelector('.turn:last-child')"


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def source():
    text = PAGE.read_text()
    check(not re.search(r"""(src|href|action)\s*=\s*["'](?!#|data:)""", text), "the page refers to something outside")
    check(not re.search(r"""url\(|@import|https?://(?!www\.w3\.org)""", text), "the page loads something")
    check("innerHTML" not in text and "insertAdjacentHTML" not in text, "text is read as HTML")


def send(browser, text):
    browser.evaluate("document.querySelector('#prompt').focus()")
    browser.type(text)
    browser.press("Enter")


def chat(browser, server):
    browser.open(server.address, 1280, 860)
    browser.wait("document.querySelector('#state').dataset.is === 'good'")
    check(browser.evaluate("document.querySelector('#model').textContent") == "small-0.6", "the model's name")
    check(browser.evaluate("document.activeElement.id") == "prompt", "the message field has the focus")
    check(browser.evaluate("document.querySelector('#send').disabled"), "nothing to send")
    send(browser, "first line")
    browser.wait(f"{LAST}.classList.contains('assistant') && !{LAST}.classList.contains('busy')")
    text = browser.evaluate(f"{LAST}.querySelector('.text').textContent")
    check(text.replace("\n", "") == SPEECH.replace("```python\n", "").replace("```\n", "").replace("\n", ""),
          f"the answer as it was sent: {text!r}")
    check(browser.evaluate(f"{LAST}.querySelector('pre').textContent") == "y = x @ core[0] @ core[1]", "code")
    foot = browser.evaluate(f"{LAST}.querySelector('.foot').textContent")
    check(re.search(r"\d+ tokens · [\d.,]+ tokens/s · first after \d+", foot), foot)
    path, body = server.requests[-1]
    check(path == "/v1/chat/completions" and body["stream"] and body["max_tokens"] == 512, body)
    check("temperature" not in body and body["messages"] == [{"role": "user", "content": "first line"}], body)

    # Shift + Enter begins a line; the conversation goes along, with the settings.
    browser.evaluate("""for (const [name, value] of [["temperature", "0.7"], ["top_k", "5"], ["seed", "-3"], ["stop", "X|Y"],
      ["max_tokens", "30"], ["system", " Be brief. "], ["format", "json_object"]]) {
        const input = document.querySelector('#fields').elements[name];
        input.value = value; input.dispatchEvent(new Event('input', { bubbles: true })) }""")
    browser.evaluate("document.querySelector('#prompt').focus()")
    browser.type("two")
    browser.press("Enter", modifiers=8)
    browser.type("lines, and think")
    check(len(server.requests) == 1, "Shift + Enter sends nothing")
    browser.press("Enter")
    browser.wait(f"{LAST}.querySelector('.foot')?.textContent.includes('cut at the limit')")
    body = server.requests[-1][1]
    check([message["role"] for message in body["messages"]] == ["system", "user", "assistant", "user"], body)
    check(body["messages"][0]["content"] == "Be brief." and body["messages"][3]["content"] == "two\nlines, and think", body)
    check((body["temperature"], body["top_k"], body["seed"], body["stop"]) == (0.7, 5, -3, ["X", "Y"]), body)
    check(body["response_format"] == {"type": "json_object"}, body)
    check(browser.evaluate(f"{LAST}.querySelector('details.thought summary').textContent") == "Thought", "thoughts fold")

    # Try again: the same question, without the last answer.
    browser.click(".turn:last-child .again")
    browser.wait(f"{LAST}.querySelector('.again')")
    check(server.requests[-1][1]["messages"] == body["messages"], "the same messages again")
    browser.click("#reset")
    check(browser.evaluate("document.querySelector('#fields').elements.temperature.value") == "", "defaults")
    browser.click("#clear")
    check(browser.evaluate("document.querySelectorAll('.turn').length") == 0, "a new chat is empty")


def stopping(browser, server):
    for stop in (lambda: browser.press("Escape"), lambda: browser.click("#stop")):
        cut = server.cut
        send(browser, "forever")
        browser.wait(f"{LAST}.classList.contains('busy') && {LAST}.querySelector('.text').textContent.length > 40")
        check(not browser.evaluate("document.querySelector('#stop').hidden"), "a button to stop")
        stop()
        browser.wait(f"{LAST}.querySelector('.foot')?.textContent.includes('stopped')")
        deadline = time.monotonic() + 5
        while server.cut == cut and time.monotonic() < deadline:
            time.sleep(0.05)
        check(server.cut == cut + 1, "the request was cut off")
    length = browser.evaluate(f"{LAST}.querySelector('.text').textContent.length")
    time.sleep(0.2)
    check(browser.evaluate(f"{LAST}.querySelector('.text').textContent.length") == length, "nothing comes behind a stop")
    send(browser, "and now")
    browser.wait(f"{LAST}.classList.contains('assistant') && !{LAST}.classList.contains('busy')")
    browser.click("#clear")


def faults(browser, server):
    send(browser, "refuse")
    browser.wait(f"{LAST}.querySelector('.fault')?.textContent.includes('(429, try again in 7 s)')")
    send(browser, "break")
    browser.wait(f"{LAST}.querySelector('.fault')?.textContent.includes('The engine failed in this step.')")
    check(len(server.requests[-1][1]["messages"]) == 1, "a question that was refused is not sent again")
    check(len(browser.evaluate(f"{LAST}.querySelector('.text').textContent")) == 20, "what came before the fault stays")
    requests = len(server.requests)
    browser.evaluate("document.querySelector('#fields').elements.temperature.value = '3'")
    send(browser, "hot")
    check(len(server.requests) == requests, "settings out of range are not sent")
    browser.evaluate("document.querySelector('#fields').elements.temperature.value = ''")
    browser.evaluate("document.querySelector('#prompt').value = ''")
    browser.click("#clear")


def completion(browser, server):
    browser.evaluate("document.querySelector('#tab-chat').focus()")
    browser.press("ArrowRight")
    check(browser.evaluate("document.activeElement.id") == "tab-completion", "arrows change tabs")
    check(browser.evaluate("document.querySelector('#chat').hidden"), "one tab is shown")
    browser.evaluate("document.querySelector('#paper').focus()")
    browser.type("Once upon a time ")
    browser.press("Enter", modifiers=2)
    browser.wait("document.querySelector('#paper-foot').textContent.includes('tokens/s')")
    check(browser.evaluate("document.querySelector('#paper').value") == "Once upon a time " + SPEECH, "the text goes on")
    check(server.requests[-1][0] == "/v1/completions" and server.requests[-1][1]["prompt"] == "Once upon a time ", "prompt")
    browser.click("#undo")
    check(browser.evaluate("document.querySelector('#paper').value") == "Once upon a time ", "taken back")


def metrics(browser):
    browser.wait("document.querySelector('#m-rate').textContent !== '–'")
    texts = browser.evaluate("Object.fromEntries([...document.querySelectorAll('dd')].map(node => [node.previousSibling.textContent || node.previousElementSibling.textContent, node.textContent]))")
    check(texts["Waiting"] == "2" and texts["Cache in use"] == "37 %" and texts["Drafts accepted"] == "68 %", texts)
    check(texts["Prompt cached"] == "30 %" and texts["First token, mean"] == "124 ms", texts)
    check(texts["Per token, mean"] == "12 ms", texts)
    rate = float(texts["Generated, all requests"].split()[0].replace(",", ""))
    check(20 < rate < 400, texts)


def key(browser, page):
    server = Server(page, key="secret")
    browser.open(server.address, 1280, 860)
    browser.wait("document.querySelector('#state').textContent === 'key needed'")
    check(browser.evaluate("document.querySelector('#settings').open"), "the field for the key is shown")
    browser.evaluate("document.querySelector('#key').focus()")
    browser.type("secret")
    browser.wait("document.querySelector('#state').dataset.is === 'good'")
    send(browser, "hello")
    browser.wait(f"{LAST}.classList.contains('assistant') && !{LAST}.classList.contains('busy')")
    check(not browser.evaluate(f"!!{LAST}.querySelector('.fault')"), "the key is sent")
    check(not browser.evaluate("JSON.stringify(localStorage).includes('secret')"), "the key is not stored for good")
    browser.evaluate("sessionStorage.clear()")
    server.shutdown()


def accessibility(browser):
    unnamed = browser.evaluate("""[...document.querySelectorAll('button, input, textarea, select, [role=log]')].filter(node =>
      !(node.labels?.length || node.getAttribute('aria-label') || node.textContent.trim())).map(node => node.outerHTML)""")
    check(not unnamed, f"controls without a name: {unnamed}")
    low = browser.evaluate("""(() => {
      const light = text => { const [r, g, b] = text.match(/[\\d.]+/g).map(Number).map(v => v / 255)
        .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b };
      const ground = node => { for (; node; node = node.parentElement) {
        const color = getComputedStyle(node).backgroundColor; if (!/, 0\\)$|transparent/.test(color)) return color } return 'rgb(255,255,255)' };
      return [...document.querySelectorAll('body *')].filter(node => node.checkVisibility() && !node.disabled && !node.closest('.sr')
        && [...node.childNodes].some(child => child.nodeType === 3 && child.textContent.trim())).map(node => {
        const [a, b] = [light(getComputedStyle(node).color), light(ground(node))].sort((x, y) => y - x);
        return [(a + .05) / (b + .05), node.tagName + ' ' + node.className + ' ' + node.textContent.slice(0, 30)] })
        .filter(([ratio]) => ratio < 4.5) })()""")
    check(not low, f"contrast below 4.5: {low}")


def pictures(browser, server, folder):
    for (name, width, height), dark in itertools.product(
            [("wide", 1280, 860), ("narrow", 390, 844), ("small", 320, 568)], [False, True]):
        look = f"{name}-{'dark' if dark else 'light'}"
        browser.open(server.address, width, height, dark, touch=width < 500)
        browser.evaluate("localStorage.clear()")
        browser.open(server.address, width, height, dark, touch=width < 500)
        browser.wait("document.querySelector('#m-rate').textContent !== '–'", 20)
        theme = browser.evaluate("document.documentElement.dataset.theme")
        check(theme == ("dark" if dark else "light"), f"{look}: follows the system")
        accessibility(browser)
        if folder:
            browser.shoot(folder / f"{look}-empty.png")
        send(browser, "Please think about tensor trains: what are they good for, and when do they fail to compress a matrix?")
        browser.wait(f"{LAST}.classList.contains('busy') && {LAST}.querySelector('.text').textContent.length > 90")
        if folder:
            browser.shoot(folder / f"{look}-streaming.png")
        browser.wait(f"{LAST}.querySelector('.foot')")
        overflow = browser.evaluate("document.documentElement.scrollWidth - innerWidth")
        check(overflow <= 0, f"{look}: {overflow} pixels stand out at the side")
        field = browser.evaluate("(() => { const box = document.querySelector('.box').getBoundingClientRect(); return box.bottom <= innerHeight && box.top > 0 })()")
        check(field, f"{look}: the message field can be seen")
        if width < 500:
            small = browser.evaluate("[...document.querySelectorAll('.primary, .stop, .icon')].filter(n => n.checkVisibility() && n.getBoundingClientRect().height < 36).length")
            check(small == 0, f"{look}: buttons too small for a finger")
        accessibility(browser)
        if folder:
            browser.shoot(folder / f"{look}-answer.png")
        if not browser.evaluate("document.querySelector('#settings').open"):
            browser.click("#settings > summary")
        send(browser, "refuse")
        browser.wait(f"{LAST}.querySelector('.fault')")
        accessibility(browser)
        if folder:
            browser.shoot(folder / f"{look}-settings.png")
        browser.click("#theme")
        check(browser.evaluate("document.documentElement.dataset.theme") != theme, "the switch switches")
        browser.click("#theme")
        browser.click("#tab-completion")
        browser.evaluate("document.querySelector('#paper').value = 'The parallel universe begins where'; refresh()")
        reachable = browser.evaluate("document.querySelector('#continue').getBoundingClientRect().bottom <= innerHeight")
        check(reachable, f"{look}: the button that continues can be seen, settings open or not")
        if folder:
            browser.shoot(folder / f"{look}-completion.png")


@contextlib.contextmanager
def serving(program, model):
    """The address of `PROGRAM serve MODEL`."""
    process = subprocess.Popen(
        [program, "serve", model, "--port", "0", "--json", "--quiet", "--device", "cpu", "--cache-tokens", "40000"],
        stdout=subprocess.PIPE, env={**os.environ, "OMP_WAIT_POLICY": "passive"})
    try:
        line = process.stdout.readline()
        check(line, f"{program} does not serve {model}")
        yield json.loads(line)["url"]
    finally:
        process.terminate()
        check(process.wait(30) == 0, "SIGTERM ends the server")


def figure(address, name):
    with urllib.request.urlopen(address + "/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(f"vllm:{name}"))


def set_fields(browser, **values):
    for name, value in values.items():
        browser.evaluate(f"""(() => {{ const input = document.querySelector('#fields').elements[{json.dumps(name)}];
          input.value = {json.dumps(str(value))}; input.dispatchEvent(new Event('input', {{ bubbles: true }})) }})()""")


def answered(browser):
    browser.wait(f"{LAST}.classList.contains('assistant') && !{LAST}.classList.contains('busy')", 60)
    check(not browser.evaluate(f"!!{LAST}.querySelector('.fault')"), "no fault")
    return browser.evaluate(f"{LAST}.querySelector('.text').textContent")


def stop_real(browser, address):
    """Stops an answer on its way: the server computes no more of it. A small model may have ended before."""
    for _ in range(10):
        before = figure(address, 'request_success_total{model_name="')
        aborted = figure(address, "generation_tokens_total")
        send(browser, "Tell me everything about the sea, its storms and its ships, from the beginning.")
        browser.wait(f"{LAST}.classList.contains('busy') && {LAST}.querySelector('.text').textContent.length > 30", 20)
        browser.press("Escape")
        browser.wait(f"{LAST}.querySelector('.foot')")
        if "stopped" in browser.evaluate(f"{LAST}.querySelector('.foot').textContent"):
            break
    else:
        raise AssertionError("ten answers ended before they could be stopped")
    deadline = time.monotonic() + 10
    while figure(address, "num_requests_running") > 0 or figure(address, "kv_cache_usage_perc") > 0:
        check(time.monotonic() < deadline, "a stopped answer is given up")
        time.sleep(0.05)
    check(figure(address, 'request_success_total{model_name="') == before + 1, "it is counted once")
    check(figure(address, "generation_tokens_total") - aborted < 900, "not all of it was computed")


def real(browser, program, model, folder):
    with serving(program, model) as address:
        texts = []
        for (name, width, height), dark in itertools.product([("wide", 1280, 860), ("narrow", 390, 844)], [False, True]):
            look = f"real-{name}-{'dark' if dark else 'light'}"

            def shoot(what):
                accessibility(browser)
                overflow = browser.evaluate("document.documentElement.scrollWidth - innerWidth")
                check(overflow <= 0, f"{look}-{what}: {overflow} pixels stand out at the side")
                if folder:
                    browser.shoot(folder / f"{look}-{what}.png")

            browser.open(address, width, height, dark, touch=width < 500)
            browser.evaluate("localStorage.clear()")
            browser.open(address, width, height, dark, touch=width < 500)
            browser.wait("document.querySelector('#state').dataset.is === 'good'")
            check(browser.evaluate("document.querySelector('#model').textContent") == pathlib.Path(model).name, "the model's name")
            theme = browser.evaluate("document.documentElement.dataset.theme")
            check(theme == ("dark" if dark else "light"), f"{look}: follows the system")
            shoot("empty")
            # The same, whatever it looks like.
            set_fields(browser, temperature=0, max_tokens=120)
            send(browser, "Who built the lighthouse at the end of the harbour, and why is it painted white?")
            browser.wait(f"{LAST}.classList.contains('busy') && {LAST}.querySelector('.text').textContent.length > 60", 20)
            shoot("streaming")
            texts.append(answered(browser))
            foot = browser.evaluate(f"{LAST}.querySelector('.foot').textContent")
            check(re.search(r"\d+ tokens · [\d.,]+ tokens/s · first after \d+", foot), foot)
            shoot("answer")
            set_fields(browser, temperature=1, max_tokens=900)
            stop_real(browser, address)
            shoot("stopped")
            browser.wait("document.querySelector('#m-rate').textContent !== '–'", 20)
            if not browser.evaluate("document.querySelector('#settings').open"):
                browser.click("#settings > summary")
            shoot("settings")
            browser.click("#tab-completion")
            browser.evaluate("document.querySelector('#paper').value = ''; document.querySelector('#paper').focus()")
            browser.type("The history of the river begins in the mountains, where")
            set_fields(browser, temperature=0, max_tokens=80)
            browser.press("Enter", modifiers=2)
            browser.wait("document.querySelector('#paper-foot').textContent.includes('tokens/s')", 60)
            paper = browser.evaluate("document.querySelector('#paper').value")
            check(len(paper) > 100 and paper.startswith("The history of the river begins in the mountains, where"), paper)
            texts.append(paper)
            shoot("completion")
        check(len(set(texts)) == 2, "greedy text is the same however it is looked at")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--screenshots", type=pathlib.Path)
    parser.add_argument("--browser", default="chromium")
    parser.add_argument("--server", nargs=2, metavar=("PROGRAM", "MODEL"), help="who answers, instead of one that pretends")
    options = parser.parse_args()
    if options.screenshots:
        options.screenshots.mkdir(parents=True, exist_ok=True)
    source()
    page = PAGE.read_bytes()
    server = Server(page)
    browser = Browser(options.browser)
    try:
        if options.server:
            real(browser, *options.server, options.screenshots)
        else:
            chat(browser, server)
            stopping(browser, server)
            faults(browser, server)
            completion(browser, server)
            metrics(browser)
            key(browser, page)
            pictures(browser, server, options.screenshots)
        wrong = [event["params"] for event in browser.events
                 if event.get("method") == "Runtime.exceptionThrown"
                 or event.get("method") == "Log.entryAdded" and event["params"]["entry"]["level"] == "error"
                 and "status of 4" not in event["params"]["entry"]["text"]]
        check(not wrong, f"the console has errors: {wrong}")
        outside = [event["params"]["request"]["url"] for event in browser.events
                   if event.get("method") == "Network.requestWillBeSent"
                   and not event["params"]["request"]["url"].startswith(("http://127.0.0.1:", "data:"))]
        check(not outside, f"the page asked elsewhere: {outside}")
    finally:
        browser.close()
    print("page: everything as it should be")


if __name__ == "__main__":
    main()
