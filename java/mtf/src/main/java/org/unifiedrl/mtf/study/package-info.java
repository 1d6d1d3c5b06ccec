/** Comparisons of methods: cells that are run once and kept, and what they say together. */
package org.unifiedrl.mtf.study;
