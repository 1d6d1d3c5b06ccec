/**
 * Random actions around a baseline policy's, logged with their box and density. Knows actions only,
 * neither policies nor environments.
 */
package org.unifiedrl.mtf.exploration;
