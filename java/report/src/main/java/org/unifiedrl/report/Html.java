package org.unifiedrl.report;

/** HTML that is being written; everything but {@link #raw} escapes what it is given. */
final class Html {

  private final StringBuilder text = new StringBuilder();

  /** Text that is HTML already, and nobody else's. */
  Html raw(String html) {
    text.append(html);
    return this;
  }

  Html text(String words) {
    text.append(escape(words));
    return this;
  }

  /**
   * Opens an element.
   *
   * @param attributes names and values in turn
   */
  Html open(String tag, String... attributes) {
    text.append('<').append(tag);
    for (int i = 0; i < attributes.length; i += 2) {
      text.append(' ').append(attributes[i]).append("=\"").append(escape(attributes[i + 1]));
      text.append('"');
    }
    text.append('>');
    return this;
  }

  Html close(String tag) {
    text.append("</").append(tag).append('>');
    if (!tag.equals("text") && !tag.equals("button") && !tag.equals("a")) {
      text.append('\n');
    }
    return this;
  }

  /** An element that holds text only. */
  Html element(String tag, String words, String... attributes) {
    return open(tag, attributes).text(words).close(tag);
  }

  /** Words in which no character means anything to HTML, within elements and quoted attributes. */
  static String escape(String words) {
    StringBuilder escaped = new StringBuilder();
    for (int i = 0; i < words.length(); i++) {
      char c = words.charAt(i);
      switch (c) {
        case '&' -> escaped.append("&amp;");
        case '<' -> escaped.append("&lt;");
        case '>' -> escaped.append("&gt;");
        case '"' -> escaped.append("&quot;");
        case '\'' -> escaped.append("&#39;");
        default -> escaped.append(c < ' ' && c != '\n' && c != '\t' ? '\ufffd' : c);
      }
    }
    return escaped.toString();
  }

  @Override
  public String toString() {
    return text.toString();
  }
}
