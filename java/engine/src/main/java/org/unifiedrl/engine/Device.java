package org.unifiedrl.engine;

/**
 * One back end of this build.
 *
 * @param name name by which {@link EngineOptions#backend} asks for it
 * @param score rank by which "auto" chooses; 0 when it cannot work here
 * @param description what it runs on, or why it cannot
 * @param library file that it is loaded from, or the places where that was looked for; empty for
 *     back ends of the engine's own library
 */
public record Device(String name, int score, String description, String library) {

  /** Whether it can work here. */
  public boolean available() {
    return score > 0;
  }
}
