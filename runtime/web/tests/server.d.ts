/**
 * @param {Record<string, string>} folders By the path they are served under, such as "/web/".
 * @param {(request: import("node:http").IncomingMessage, response: import("node:http").ServerResponse) => boolean} [first]
 *   Answers what the folders should not; true if it did.
 * @returns {Promise<{url: string, close: () => void}>}
 */
export function serve(folders: Record<string, string>, first?: (request: import("node:http").IncomingMessage, response: import("node:http").ServerResponse) => boolean): Promise<{
    url: string;
    close: () => void;
}>;
