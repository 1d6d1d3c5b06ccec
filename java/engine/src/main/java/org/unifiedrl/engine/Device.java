package org.unifiedrl.engine;

/**
 * One back end of this build.
 *
 * @param name name by which {@link EngineOptions#backend} asks for it
 * @param score rank by which "auto" chooses; 0 when it cannot work here
 * @param description what it runs on, or why it cannot
 */
public record Device(String name, int score, String description) {

  /** Whether it can work here. */
  public boolean available() {
    return score > 0;
  }
}
