/** Worlds in which a fusion policy serves users, request after request, and the simulated one. */
package org.unifiedrl.mtf.session;
