package org.unifiedrl.report;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The page in a real browser: what readers would see, and what it must not do. */
class ReportPageTest {

  private static final String HOSTILE = "<script>alert(1)</script> & 'co'";

  @TempDir static Path temporary;

  private static Chromium browser;
  private static Path page;

  @BeforeAll
  static void open() throws IOException, InterruptedException {
    browser = Chromium.start(Files.createDirectories(temporary.resolve("profile"))).orElse(null);
    Assumptions.assumeTrue(
        browser != null,
        "skipped: chromium is not on the PATH; ./unifiedrl setup --tests installs it");
    List<Path> runs =
        List.of(
            SampleRuns.write(temporary.resolve("<img src=x onerror=alert(2)>"), 1, 1),
            SampleRuns.write(temporary.resolve("second"), 4, 1),
            SampleRuns.write(temporary.resolve("third"), 2, 3.5),
            SampleRuns.write(temporary.resolve("fourth"), 2, 123.25));
    page = temporary.resolve("a page.html");
    Report.write(page, HOSTILE, runs);
  }

  @AfterAll
  static void close() {
    if (browser != null) {
      browser.close();
    }
  }

  /** Nothing is fetched, nothing is refused, nothing fails, and nobody's text runs. */
  private static void assertQuiet() {
    assertThat(browser.heard("Network.requestWillBeSent"))
        .extracting(event -> event.at("/params/request/url").asText())
        .containsExactly(page.toUri().toString());
    for (String event :
        List.of(
            "Log.entryAdded",
            "Runtime.exceptionThrown",
            "Runtime.consoleAPICalled",
            "Page.javascriptDialogOpening")) {
      assertThat(browser.heard(event)).as(event).isEmpty();
    }
  }

  private static List<String> strings(String expression) {
    List<String> all = new ArrayList<>();
    JsonNode value = browser.evaluate(expression);
    assertThat(value.isArray()).as(expression).isTrue();
    value.forEach(one -> all.add(one.asText()));
    return all;
  }

  @ParameterizedTest
  @CsvSource({"light, 1200, 900", "dark, 1200, 900", "light, 360, 740", "dark, 360, 740"})
  void everythingCanBeReadInBothSchemesAndOnAPhone(String scheme, int width, int height)
      throws InterruptedException, TimeoutException, IOException {
    browser.open(page, scheme, width, height, true);
    Path pictures = Files.createDirectories(Path.of("target", "screenshots"));
    browser.screenshot(pictures.resolve(scheme + "-" + width + ".png"), true);
    assertQuiet();
    assertThat(browser.evaluate("document.title").asText()).isEqualTo(HOSTILE);
    assertThat(browser.evaluate("document.querySelector('h1').textContent").asText())
        .isEqualTo(HOSTILE);
    assertThat(browser.evaluate("innerWidth").asInt()).isEqualTo(width);
    assertThat(browser.evaluate("document.documentElement.scrollWidth").asInt())
        .as("no scrolling sideways")
        .isLessThanOrEqualTo(width);
    assertThat(browser.evaluate("getComputedStyle(document.body).backgroundColor").asText())
        .isEqualTo(scheme.equals("light") ? "rgb(246, 247, 248)" : "rgb(18, 21, 24)");
    browser.evaluate(HELPERS);
    // 2 of the A/B test, 2 x 2 by reward group, 3 of gradients less 2, 5 of the box, 2, 1 of speed.
    assertThat(browser.evaluate("document.querySelectorAll('svg.chart').length").asInt())
        .isEqualTo(2 + 4 + 1 + 5 + 2 + 1);
    assertThat(strings("emptyCharts()")).as("charts without a drawing").isEmpty();
    assertThat(strings("smallTexts()")).as("texts below 14 px").isEmpty();
    assertThat(strings("cutTexts()")).as("texts beyond their drawing").isEmpty();
    assertThat(strings("overlappingTicks()")).as("ticks over one another").isEmpty();
    assertThat(strings("paleTexts()")).as("texts below a contrast of 4.5").isEmpty();
    assertThat(strings("paleSeries()")).as("series below a contrast of 3").isEmpty();
    assertThat(strings("unnamedCharts()")).as("charts without title and description").isEmpty();
  }

  @Test
  void thePointerShowsValuesAndKeysHideGroups() throws InterruptedException, TimeoutException {
    browser.open(page, "light", 1200, 900, true);
    browser.evaluate(
        "window.chart = [...document.querySelectorAll('svg[data-chart]')]"
            + ".find(c => c.getAttribute('aria-label').includes('watch time'));"
            + "chart.scrollIntoView({block: 'center'})");
    JsonNode place =
        browser.evaluate(
            "(() => { const r = chart.getBoundingClientRect();"
                + " return {x: r.right - 20, y: r.top + r.height / 2}; })()");
    assertThat(browser.evaluate("tip.hidden").asBoolean()).isTrue();
    browser.point(place.path("x").asDouble(), place.path("y").asDouble());
    // Seeds 1 and 4 at the last of 12 lines; seed 2 alone.
    assertThat(browser.evaluate("tip.innerText").asText())
        .contains("step 1,200", "A: 14.5 (13 to 16)", "B: 14", "C: 14");
    // Steps 100 to 1,200 between the axis and the right end: 600 is in the middle of all from 0.
    JsonNode line =
        browser.evaluate(
            "(() => { const r = chart.querySelector('.axis').getBoundingClientRect();"
                + " return {x: (r.left + r.right) / 2}; })()");
    browser.point(line.path("x").asDouble(), place.path("y").asDouble());
    assertThat(browser.evaluate("tip.innerText").asText()).contains("step 600", "A: 8.5 (7 to 10)");
    browser.evaluate("document.querySelectorAll('.key')[1].click()");
    assertThat(browser.evaluate("getComputedStyle(chart.querySelector('.s1')).display").asText())
        .isEqualTo("none");
    assertThat(browser.evaluate("getComputedStyle(chart.querySelector('.s0')).display").asText())
        .isNotEqualTo("none");
    browser.point(place.path("x").asDouble() - 3, place.path("y").asDouble());
    assertThat(browser.evaluate("tip.innerText").asText()).contains("A: ").doesNotContain("B: ");
    assertQuiet();
  }

  @Test
  void withoutScriptThePageSaysTheSame() throws InterruptedException, TimeoutException {
    browser.open(page, "dark", 360, 740, false);
    assertThat(browser.evaluate("document.body.classList.contains('scripted')").asBoolean())
        .isFalse();
    browser.evaluate(HELPERS);
    assertThat(strings("emptyCharts()")).isEmpty();
    assertThat(browser.evaluate("document.body.innerText").asText())
        .contains("Valid consumptions (UVC)", "training.eta", "123.25");
    assertThat(browser.evaluate("document.documentElement.scrollWidth").asInt()).isEqualTo(360);
    assertQuiet();
  }

  /** What a page could do if someone's words became part of it after all. */
  @Test
  void thePageIsForbiddenEveryRequestAndEveryOtherScript()
      throws InterruptedException, TimeoutException {
    browser.open(page, "light", 1200, 900, true);
    String refusals =
        """
        new Promise(done => {
          const found = [];
          document.addEventListener('securitypolicyviolation', e => {
            found.push(e.effectiveDirective);
            if (found.length === 3) done(found.sort());
          });
          const image = document.createElement('img');
          image.src = 'http://127.0.0.1:9/x.png';
          const script = document.createElement('script');
          script.textContent = 'window.ran = true';
          const style = document.createElement('style');
          style.textContent = 'body { display: none }';
          document.body.append(image, script, style);
          setTimeout(() => done(found.sort()), 5000);
        })
        """;
    assertThat(strings(refusals))
        .containsExactlyInAnyOrder("img-src", "script-src-elem", "style-src-elem");
    assertThat(browser.evaluate("window.ran === undefined").asBoolean()).isTrue();
    // Chromium tells of a request before the policy refuses it: none came to be answered.
    assertThat(browser.heard("Network.responseReceived")).hasSize(1);
  }

  private static final String HELPERS =
      """
      window.charts = () => [...document.querySelectorAll('svg.chart')];
      window.emptyCharts = () => charts().filter(c => {
        const r = c.getBoundingClientRect();
        const shapes = [...c.querySelectorAll('.line, .bar, .dot')];
        return r.width < 100 || r.height < 50 || shapes.length === 0
          || shapes.some(s => { const b = s.getBBox(); return b.width + b.height === 0 || !isFinite(b.x); });
      }).map(c => c.getAttribute('aria-label'));
      window.visible = e => e.checkVisibility();
      window.texts = () => [...document.querySelectorAll('body *')].filter(e => visible(e)
        && !['SCRIPT', 'STYLE', 'TITLE', 'DESC', 'title', 'desc'].includes(e.tagName)
        && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim() !== ''));
      window.scale = e => { const s = e.closest('svg'); return s ? s.getBoundingClientRect().width / s.viewBox.baseVal.width : 1; };
      window.smallTexts = () => texts().filter(e => parseFloat(getComputedStyle(e).fontSize) * scale(e) < 13.99)
        .map(e => e.textContent);
      window.cutTexts = () => charts().flatMap(c => {
        const r = c.getBoundingClientRect();
        return [...c.querySelectorAll('text')].filter(t => { const b = t.getBoundingClientRect();
          return b.left < r.left - 1 || b.right > r.right + 1 || b.top < r.top - 4 || b.bottom > r.bottom + 4; });
      }).map(t => t.textContent);
      window.overlappingTicks = () => charts().flatMap(c => {
        const ticks = [...c.querySelectorAll('text.tick')].map(t => [t.textContent, t.getBoundingClientRect()]);
        return ticks.filter(([w, a], i) => ticks.some(([v, b], j) => j > i
          && a.left < b.right && b.left < a.right && a.top + 3 < b.bottom - 3 && b.top + 3 < a.bottom - 3));
      }).map(t => t[0]);
      window.channels = c => c.match(/[0-9.]+/g).map(Number);
      window.luminance = c => { const [r, g, b] = channels(c).slice(0, 3).map(v => { v /= 255;
        return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
      window.contrast = (a, b) => { const x = luminance(a), y = luminance(b);
        return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05); };
      window.ground = e => { for (let p = e; p; p = p.parentElement) {
        const c = getComputedStyle(p).backgroundColor; if (channels(c)[3] !== 0) return c; } };
      window.paleTexts = () => texts().filter(e => {
        const style = getComputedStyle(e);
        const colour = e.closest('svg') ? style.fill : style.color;
        const box = e.closest('svg')?.querySelector('.box');
        return contrast(colour, ground(e)) < 4.5 || (box && contrast(colour, getComputedStyle(box).fill) < 4.5);
      }).map(e => e.textContent);
      window.paleSeries = () => charts().flatMap(c => [...c.querySelectorAll('.line, .bar')].filter(s => {
        const box = c.querySelector('.box');
        const colour = getComputedStyle(s).stroke;
        return contrast(colour, ground(c)) < 3 || (box && contrast(colour, getComputedStyle(box).fill) < 3);
      })).map(s => s.parentElement.getAttribute('class'));
      window.unnamedCharts = () => charts().filter(c => !c.querySelector(':scope > title')?.textContent
        || !c.querySelector(':scope > desc')?.textContent).map(c => c.outerHTML.slice(0, 80));
      true
      """;
}
