<?php

/** Opens a message again that was taken back. Its copy in the folder of sent mail becomes a draft: nothing was sent. */
class recall_milter_draft
{
    private $storage;
    private $drafts;
    private $api;

    public function __construct(rcmail $rcmail, recall_milter_api $api)
    {
        $this->storage = $rcmail->get_storage();
        $this->drafts  = (string) $rcmail->config->get('drafts_mbox');
        $this->api     = $api;
    }

    /**
     * Returns the parameters of the page that edits a message; null: there is nothing to edit. The second of two tabs
     * opens the draft that the first one made.
     *
     * @param string $id     Message-ID
     * @param string $folder where Roundcube has put the copy; empty: nowhere
     * @param array  $holds  of the message: without a copy, its text is what the gateway has
     */
    public function open(string $id, string $folder, array $holds)
    {
        $page = ['task' => 'mail', 'action' => 'compose'];
        $sent = $folder === '' ? null : $this->find($folder, $id);
        if (!$this->has_drafts()) {
            return $sent === null ? null : $page + ['_uid' => $sent, '_mbox' => $folder];
        }
        if ($sent !== null && $folder !== $this->drafts) {
            $this->storage->move_message($sent, $this->drafts, $folder);
        }
        $uid = $this->find($this->drafts, $id);
        if ($uid === null && $this->save($holds)) {
            $uid = $this->find($this->drafts, $id);
        }
        return $uid === null ? null : $page + ['_draft_uid' => $uid, '_mbox' => $this->drafts];
    }

    /** Finds the newest copy of a message in a folder. */
    private function find(string $folder, string $id)
    {
        $quoted = addcslashes(preg_replace('/[\x00-\x1f\x7f]/', '', $id), '\\"');
        $found  = $this->storage->search_once($folder, 'UNDELETED HEADER Message-ID "' . $quoted . '"');
        return $found->is_error() || $found->is_empty() ? null : $found->max();
    }

    private function has_drafts(): bool
    {
        return $this->drafts !== ''
            && ($this->storage->folder_exists($this->drafts) || $this->storage->create_folder($this->drafts, true));
    }

    /** Makes a draft of what the gateway has, for those who keep no copy of what they send. */
    private function save(array $holds): bool
    {
        $file = rcube_utils::temp_filename('recall');
        $full = rcube_utils::temp_filename('recall');
        try {
            return $this->api->message($holds[0]['id'], $file)
                && file_put_contents($full, self::bcc($file, $holds)) !== false
                && file_put_contents($full, fopen($file, 'r'), FILE_APPEND) !== false
                && $this->storage->save_message($this->drafts, $full, '', true, ['SEEN']) !== false;
        } finally {
            @unlink($file);
            @unlink($full);
        }
    }

    /** Returns the header field that names those who are in the envelope only: on the wire there is no Bcc. */
    private static function bcc(string $file, array $holds): string
    {
        $header  = strstr(file_get_contents($file, false, null, 0, 262144), "\r\n\r\n", true);
        $fields  = rcube_mime::parse_headers((string) $header);
        $visible = implode(', ', array_merge((array) ($fields['to'] ?? []), (array) ($fields['cc'] ?? [])));
        $named   = array_map('strtolower', array_column(rcube_mime::decode_address_list($visible), 'mailto'));
        $hidden  = [];
        foreach ($holds as $hold) {
            foreach ($hold['recipients'] as $r) {
                if (!in_array(strtolower($r['address']), $named, true)) {
                    $hidden[$r['address']] = true;
                }
            }
        }
        return $hidden ? 'Bcc: ' . implode(",\r\n ", array_keys($hidden)) . "\r\n" : '';
    }
}
