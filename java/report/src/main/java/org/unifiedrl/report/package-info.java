/** What a training is watched by, and what runs look like beside one another. */
package org.unifiedrl.report;
