/** What a fusion policy is, whoever made it. */
package org.unifiedrl.mtf.policy;
