/** The command line: commands, configuration, progress and reports. */
package org.unifiedrl.cli;
