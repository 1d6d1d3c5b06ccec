package org.unifiedrl.engine;

/** What a forward pass leaves for a backward pass. */
public enum Tape {
  /** Nothing: no backward pass follows. */
  NONE,
  /** All hidden activations: needed for parameter gradients. */
  FULL,
  /** Signs of hidden activations: enough for gradients of the inputs. */
  SIGNS
}
