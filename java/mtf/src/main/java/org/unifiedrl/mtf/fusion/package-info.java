/**
 * The fusion formula and the choice of a page: from predicted scores and an action to what is
 * shown. Hot code: nothing allocates.
 */
package org.unifiedrl.mtf.fusion;
