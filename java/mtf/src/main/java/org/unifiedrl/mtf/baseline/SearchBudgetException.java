package org.unifiedrl.mtf.baseline;

/** A search's budget does not last for its first round: nothing can be found within it. */
public final class SearchBudgetException extends IllegalArgumentException {

  private static final long serialVersionUID = 1L;

  private final transient SearchBudget least;

  /**
   * Says what would do.
   *
   * @param message what is expected and what was found
   * @param least the budget with as much of each kind as the first round needs, if it had less
   */
  public SearchBudgetException(String message, SearchBudget least) {
    super(message);
    this.least = least;
  }

  /** The least budget that lasts for the first round; its seconds depend on the machine. */
  public SearchBudget least() {
    return least;
  }
}
